# What a client program of these tests says: one line for each thing tried.
import sys


def line(check, result, detail=""):
    print(check, result, " ".join(str(detail).split()), sep="\t")
    sys.stdout.flush()


def check(name, good, detail=""):
    line(name, "ok" if good else "FAIL", detail)


NUMBER = "090-8765-4321"            # of the message that is wrong
DIGITS = "87654321"


def error(e, words=""):
    """What the exception says: is it a help, and does it show the number?"""
    text = words or str(e)
    check("error", "unknown use case" in text and "reservation" in text, text)
    shown = DIGITS in "".join(c for c in text + repr(e) if c.isdigit())
    line("number shown", "yes" if shown else "no")


def typo(plain, hidden, how):
    """Another column is wrong: does what a logger prints show the number?  What to print instead?"""
    for check_, words, detail in (("typo", plain, ""), ("typo hidden", hidden, how)):
        line(check_, "shows" if DIGITS in "".join(c for c in words if c.isdigit()) else "does not show", detail)


def upsert(call, attempt):
    """What comes of a library's call that would insert or update?"""
    try:
        result = "ok" if attempt() is not False else "FAIL"
    except Exception as e:      # noqa: BLE001
        result = type(e).__name__
        while e is not None:
            code = getattr(e, "sqlstate", None) or getattr(e, "pgcode", None) or getattr(getattr(e, "orig", None), "pgcode", None)
            result = code or result
            e = e.__cause__ or e.__context__
    line("upsert", result, call)


def migration(tool, wants):
    """What does a tool want that makes migrations from what it finds?  As texts."""
    ours = [x for x in wants if "line_notify" in x]
    line("migration", "leaves it alone" if not ours else "wants to drop it" if any("remove" in x or "drop" in x.lower() for x in ours) else "wants to change it", tool)
