"""What can be measured, one module each; the order is the order of a whole run."""
