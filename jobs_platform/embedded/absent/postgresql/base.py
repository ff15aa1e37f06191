"""The backend that the settings name while no stack runs and no DATABASE_URL is set.

It lets everything that needs no database (help, checks, making migrations) work as with Postgres.
It must never connect anywhere.
"""

from __future__ import annotations

from typing import NoReturn

from django.db.backends.postgresql import base
from django.db.utils import OperationalError


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> NoReturn:
        raise OperationalError(self.settings_dict["OPTIONS"]["reason"])
