"""`python -m loadtests.profile`."""

import sys

from loadtests.profile.command import main

sys.exit(main())
