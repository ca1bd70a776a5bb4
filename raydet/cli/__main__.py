"""`python -m raydet.cli`."""

import sys

from raydet.cli.app import main

sys.exit(main())
