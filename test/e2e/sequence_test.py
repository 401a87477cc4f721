"""The traffic that checks itself finds what is wrong."""

from evaluator import Evaluator
from harness import case, main
from sequence import Traffic


class Loop(Traffic):
    """Traffic within one node."""

    def __init__(self, **options):
        node = Evaluator()
        node.id = 0
        super().__init__([node], senders=1, **options)
        self.node = node
        self.receiver = self.receivers.pop(node)[0]
        self.receivers[None] = [self.receiver]
        self.begin()
        self.wait_answers(20)

    def inject(self, number, text=None):
        """Something sends the receiver a number, as if the sender did."""
        sender = self.senders[0][1]
        self.node.run(
            f'skynet.redirect({self.receiver}, {sender}, "lua", 0, '
            f'skynet.pack("one", {number}, {self.receiver}, 1, "{text or f"{number:17}"}"))')

    def complaint(self):
        try:
            self.finish()
        except AssertionError as error:
            return str(error)
        return None


@case
def traffic_without_faults_has_none():
    loop = Loop()
    counts = loop.finish(loses=False)
    assert counts["answered"] >= 20 and counts["pending"] == 0


@case
def a_number_that_comes_twice_is_found():
    loop = Loop()
    loop.inject(3)
    assert "3 came after" in loop.complaint()


@case
def numbers_that_are_missing_are_found():
    loop = Loop()
    loop.stop()
    sent = loop.counts()["sent"]
    loop.inject(sent + 100)
    loop.options["most"] = sent + 200
    loop.begin()
    complaint = loop.complaint()
    assert "came after" in complaint, complaint


@case
def a_text_that_is_damaged_is_found():
    for text in ("7", f"{8:17}", f"{7:17}" * 2):
        loop = Loop()
        loop.inject(7, text)
        assert "the text of 7 is another one" in loop.complaint()


@case
def a_receiver_that_has_vanished_is_found():
    loop = Loop(receivers=1)
    loop.node.run(f'require("skynet.manager").kill({loop.receiver})')
    assert "does not report" in loop.complaint()


main()
