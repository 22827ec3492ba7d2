"""Which of several gateway processes a program outside the cluster talks to."""

import time
from collections.abc import Sequence

from toto._core.curve_keys import CurveKeys
from toto._core.publisher_link import LinkState, PublisherLink, wait_for_news

__all__ = ["NobodyAnswers", "dial_first"]

NEXT_ADDRESS_SECONDS = 0.25
"""An address that has not answered so long is not waited for alone (RFC 8305, section 5)."""


class NobodyAnswers(Exception):
    """There is no connection; the text says of every address why."""


def dial_first(
    endpoints: Sequence[str], curve: CurveKeys | None, *, give_up_at: float
) -> PublisherLink:
    """Connect to the first gateway process that answers; those before are preferred.

    Args:
        endpoints: where to dial, one after the other.
        curve: encrypts; None = plain.
        give_up_at: when to stop, in the time of ``time.monotonic``.

    Raises:
        NobodyAnswers: none did in time, or all have refused.
    """
    links: list[PublisherLink] = []
    dial_next_at = 0.0
    try:
        while (now := time.monotonic()) < give_up_at:
            for link in links:
                link.look()
            for link in links:
                if link.state is LinkState.READY:
                    links.remove(link)  # what is left is closed
                    return link
            is_any_left = len(links) < len(endpoints)
            if is_any_left and (now >= dial_next_at or all(link.trouble for link in links)):
                links.append(PublisherLink(endpoints[len(links)], curve))
                links[-1].dial()
                dial_next_at = now + NEXT_ADDRESS_SECONDS
                continue
            if not is_any_left and all(link.state is LinkState.REFUSED for link in links):
                break
            wake_at = min(dial_next_at, give_up_at) if is_any_left else give_up_at
            wait_for_news(links, wake_at - now)
        troubles = [f"{link.endpoint}: {link.trouble or 'nobody answers there'}" for link in links]
        raise NobodyAnswers("; ".join(troubles))
    finally:
        for link in links:
            link.close()
