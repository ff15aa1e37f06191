"""The verbs: each public function is one transaction; only the ledger writes a status.

Order of locks, for whoever takes several: runs in id order, so parents before children; then
claims. Recovery takes claims first, of workers that are gone, with SKIP LOCKED. A trigger takes no
lock that anybody waits for. Statements that lose a deadlock all the same are tried again whole.
"""
