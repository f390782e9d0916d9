"""`python -m loadtests.realdata`."""

import sys

from loadtests.realdata.command import main

sys.exit(main())
