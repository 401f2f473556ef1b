"""What probing found, and what it costs."""

from __future__ import annotations

from occy_fast.planning.facts import EncoderFact, Facts, memory_above_usual
from occy_fast.spec.encoding import Encoding
from occy_fast.targets import rules
from occy_fast.targets.traits import ARCHIVE, Trait
from support.contents import digest
from support.plans import ZSTD

MADE = Encoding("zstd", 9)
FACTS = Facts(encoders=(EncoderFact(MADE, ZSTD, 100),), windows=((digest("a"), 7), (digest("b"), 1000)), workers=3)


def test_memory_is_the_most_that_one_layer_takes() -> None:
    assert memory_above_usual(FACTS, []) == 0
    assert memory_above_usual(FACTS, [(None, None), (Encoding("gzip", 1), digest("c"))]) == 0
    assert memory_above_usual(FACTS, [(MADE, digest("c"))]) == 300           # an encoder for every worker
    assert memory_above_usual(FACTS, [(MADE, digest("a")), (None, digest("b"))]) == 1000
    assert memory_above_usual(FACTS, [(MADE, digest("b"))]) == 1300


def test_who_encodes() -> None:
    assert FACTS.find_encoder(MADE) == FACTS.encoders[0]
    assert FACTS.find_encoder(Encoding("none")) is None


def test_a_rule_is_refused_where_one_of_its_traits_is() -> None:
    facts = Facts(refused=(Trait(rules.NO_IMAGE, ARCHIVE, "p"),))
    assert facts.refuses(rules.NO_IMAGE)
    assert not facts.refuses(rules.SEVERAL_IMAGES)
