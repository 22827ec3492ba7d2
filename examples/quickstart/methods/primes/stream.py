"""Stream the primes up to `limit`: each leaves for the client when it is found."""

from methods._parameters import number


def invoke(handler, parameters):
    limit = number(parameters, "limit", low=2, high=1_000_000)
    composites = {}  # a number ahead -> the primes that divide it
    for candidate in range(2, limit + 1):
        divisors = composites.pop(candidate, None)
        if divisors is None:
            yield candidate
            composites[candidate * candidate] = [candidate]
            continue
        for prime in divisors:
            composites.setdefault(candidate + prime, []).append(prime)
