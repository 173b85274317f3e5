import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("asked", "found"), [((5,), 5), ((5, 5), 5), ((5, 10), 10), ((10, 5), 10)])
def test_levels_are_those_of_the_process_whatever_its_parent_has(asked, found):
    calls = "; ".join(f"priority.lower({each})" for each in asked)
    code = f"import os; from wolter import priority; {calls}; print(os.nice(0))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == max(found, os.nice(0))
