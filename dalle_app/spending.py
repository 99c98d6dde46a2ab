"""What a visit has spent on other people's servers, and the most that it may.

Knows neither servers nor prices: it is told dollars.
"""

from __future__ import annotations

import threading

from dalle_app.errors import InvalidRequest


class Purse:
    """One visitor's spending, in US dollars.

    Attributes:
        cap: the most that it may reach.
    """

    def __init__(self, cap: float) -> None:
        self.cap = cap
        self._lock = threading.Lock()
        self._charges: list[Charge] = []
        self._past = 0.0

    @property
    def spent(self) -> float:
        """With what is set aside for calls under way."""
        with self._lock:
            return self._total()

    def reserve(self, dollars: float) -> Charge:
        """Set aside what a call will cost at least, 0 where nobody knows.

        Raises:
            InvalidRequest: the cap is reached, or would be passed.
        """
        with self._lock:
            spent = self._total()
            if spent >= self.cap or spent + dollars > self.cap:
                price = f"about {say_dollars(dollars)}" if dollars else "more than nothing"
                raise InvalidRequest(
                    "count",
                    f"This visit has spent {say_dollars(spent)} of the {say_dollars(self.cap)} "
                    f"that it may, and this costs {price}. Ask for less, or raise the limit under "
                    "Connection.",
                )
            charge = Charge(dollars)
            self._charges.append(charge)
            return charge

    def _total(self) -> float:
        settled = [charge for charge in self._charges if charge.settled]
        self._past += sum(charge.dollars for charge in settled)
        self._charges = [charge for charge in self._charges if not charge.settled]
        return self._past + sum(charge.dollars for charge in self._charges)


class Charge:
    """What one call costs: an estimate until it is settled.

    One that never is (the call broke off, and may have been billed) stays as estimated.
    """

    def __init__(self, dollars: float) -> None:
        self.dollars = dollars
        self.settled = False

    def settle(self, dollars: float) -> None:
        """Say what it cost after all."""
        self.dollars = dollars
        self.settled = True


def say_dollars(dollars: float) -> str:
    """“$0.006”, “$1.20”: three digits after the point below a dime."""
    return f"${dollars:.3f}" if 0 < dollars < 0.1 else f"${dollars:.2f}"
