"""The verbs: each public function is one transaction; only the ledger writes a status."""
