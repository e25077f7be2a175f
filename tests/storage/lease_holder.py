"""A driver in a process of its own: takes the lease, says so, and keeps it until its input ends or it is killed."""

from __future__ import annotations

import sys

import sqlalchemy as sa

from storage.database import check_url
from storage.lease import Lease

if __name__ == "__main__":
    url, study = sys.argv[1:]
    lease = Lease(sa.create_engine(check_url(url)), study)
    print("held", flush=True)
    sys.stdin.read()
