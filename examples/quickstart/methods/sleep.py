"""Keep a worker's thread for some seconds."""

import time

from methods._parameters import number


def invoke(handler, parameters):
    seconds = number(parameters, "seconds", low=0, high=30, kind=float)
    time.sleep(seconds)
    return {"slept": seconds}
