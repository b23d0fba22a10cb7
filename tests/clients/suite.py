"""What the Python suites share: cases, totals, and where the server is. Not a suite. One thread."""

import os
import re
import sys
import time
import traceback

import redis

HOST = "127.0.0.1"
PORT = int(os.environ["CLIENTS_PORT"])
URL = f"redis://{HOST}:{PORT}"

counts = {"ok": 0, "FAIL": 0, "absent": 0}
commands_there = None


def connect(**options):
    return redis.Redis(host=HOST, port=PORT, socket_timeout=10, **options)


def has(command):
    """Does the server have this command, by its own table?"""
    global commands_there
    if commands_there is None:
        with connect(decode_responses=True) as client:
            commands_there = {name.lower() for name in client.execute_command("COMMAND LIST")}
    return command.lower() in commands_there


def tell(word, name, why=""):
    counts[word] += 1
    print(f"{word} - {name}{': ' + why if why else ''}", flush=True)


def case(needs=None):
    """A function is a case, and its name says what must hold. `needs`: a command that the server may not have: the
    case must then fail with its name in an "unknown command" error, and is counted as absent."""

    def run(function):
        name = function.__name__.replace("_", " ")
        try:
            function()
        except Exception as error:  # anything at all is what a user would have met
            there = needs is None or has(needs)
            names = (needs, "exec") if needs == "multi" else (needs,)
            refused = re.search(r"unknown command '(\w+)'", str(error))
            if not there and refused and refused.group(1).lower() in names:
                tell("absent", name, f"the server has no {needs.upper()}")
            else:
                tell("FAIL", name, "".join(traceback.format_exception(error)))
        else:
            tell("ok", name)
        return function

    return run


def same(found, wanted):
    assert found == wanted, f"{found!r}, not {wanted!r}"


def raises(error, function, *arguments, text="", **options):
    try:
        answer = function(*arguments, **options)
    except error as caught:
        assert text in str(caught), f"{caught!r} says nothing of {text!r}"
        return caught
    raise AssertionError(f"no {error.__name__}, but {answer!r}")


def until(condition, seconds=5):
    """Waits until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.005)


def finish():
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['absent']} absent", flush=True)
    sys.exit(counts["FAIL"] > 0 or counts["ok"] == 0)
