"""``python -m acestep_ray.cli``, where the program ``acestep-ray`` is not on the PATH."""

import sys

from acestep_ray.cli.app import main

sys.exit(main())
