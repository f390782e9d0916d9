"""`python -m loadtests.guard`."""

import sys

from loadtests.guard.command import main

sys.exit(main())
