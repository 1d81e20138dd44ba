"""What all tests share: programs are NumPy unless a test asks for C, which is built in a folder of their own.

How many examples Hypothesis tries: `pytest` is quick, `pytest --hypothesis-profile=deep` takes thousands.

A test of random networks takes its number from the profile; where it wants another one in the quick profile, it says
`examples` (tests/strategies.py).
Both are derandomised, so that a test gives the same answer twice; the deep one also looks for a smaller case.
"""

import os
import tempfile

from hypothesis import HealthCheck, Phase, settings

every = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}
QUICK = 20
settings.register_profile("quick", max_examples=QUICK, phases=[Phase.explicit, Phase.generate], **every)
settings.register_profile("some", settings.get_profile("quick"), max_examples=100)  # for mutants
settings.register_profile("deep", max_examples=3000, print_blob=True, **every)
settings.load_profile("quick")

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers inherit it
    kept = tempfile.TemporaryDirectory(prefix="blocks-tests-")
    os.environ["BLOCKS_CACHE"] = kept.name
    os.environ.setdefault("BLOCKS_TARGET", "numpy")
