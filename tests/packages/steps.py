"""steps.py: what is shown, a sentence a step, and the count of those that held."""
import time, traceback


class Steps:
    def __init__(self):
        self.passed = self.failed = 0

    def step(self, sentence, body, *words):
        """Runs a step; true when it held. What it returns is printed behind it."""
        began = time.monotonic()
        try:
            said = body(*words)
        except Exception:
            self.failed += 1
            print(f"FAIL {sentence} ({time.monotonic() - began:.1f} s)\n{traceback.format_exc()}", flush=True)
            return False
        self.passed += 1
        print(f"ok   {sentence} ({time.monotonic() - began:.1f} s){': ' + str(said) if said else ''}", flush=True)
        return True
