"""Owns a stack in a process of its own, so that tests can kill it: owner.py DATA_DIR; ends with
its input.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from jobs_platform.embedded.errors import EmbeddedStackError
from jobs_platform.embedded.stack import Stack

try:
    with Stack(Path(sys.argv[1]), durable=False) as stack:
        print(json.dumps(asdict(stack.address)), flush=True)
        sys.stdin.read()
except KeyboardInterrupt:
    pass
except EmbeddedStackError as error:
    sys.exit(f"{error.code}: {error}")
