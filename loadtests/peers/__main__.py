"""`python -m loadtests.peers`."""

import sys

from loadtests.peers.command import main

sys.exit(main())
