"""How fast the platform is, beside its peers, on the machine at hand. Run by `make bench`."""
