"""x"""
import os, pytest, faulthandler, time
from tests.acceptance.test_mutated_town import harm_a_town
A=int(os.environ.get("FZ","0")); N=int(os.environ.get("FN","300"))
def test_many(tt, town):
    """x"""
    out=open(os.environ["FO"],"a")
    for s in range(A, A+N):
        faulthandler.dump_traceback_later(40, exit=True, file=out)
        t=time.monotonic()
        try: harm_a_town(s, tt, town)
        except BaseException as e: print("BAD",s, type(e).__name__, str(e)[:600], file=out, flush=True)
        if time.monotonic()-t>4: print("SLOW",s,time.monotonic()-t, file=out, flush=True)
    print("END", s, file=out, flush=True)
