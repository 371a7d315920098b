"""The model card says what the run measured."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tools.bundled_model.card import Quality, Run, Sample, model_card
from tools.bundled_model.prepare import CorpusFacts

FACTS = CorpusFacts(
    train_books=3,
    train_authors=2,
    train_documents=40,
    train_chars=4_000_000,
    train_tokens=1_000_000,
    validation_books=("A Tale, by Nobody", "Another Tale, by Somebody Else"),
    validation_chars=4_000,
    validation_tokens=1_000,
    raw_validation_chars=4_100,
    prepare_s=1.0,
)
RUN = Run(
    device="CPU",
    threads=2,
    torch_version="2.0",
    optimizer="AdamW",
    learning_rate=1e-3,
    embedding_learning_rate=1e-3,
    weight_decay=0.1,
    batch_tokens=8192,
    context_tokens=64,
    evaluation_tokens=500,
    steps=1000,
    tokens_seen=8_192_000,
    training_s=3600.0,
    best_step=990,
    averaged=False,
    parameters=1_000_000,
)


def test_the_card_says_when_the_run_was_short() -> None:
    quality = Quality(3.5, 3.4, 1.5, 1.6, 3.3)
    short = model_card(FACTS, RUN, quality, [])
    assert "60 minutes and 8,192,000 tokens: 8.2 tokens a parameter" in short
    assert "CPU, 2 threads" in short
    assert "longer run" in short
    ample = replace(RUN, tokens_seen=25 * RUN.parameters, device="A GPU", threads=None)
    assert "longer run" not in model_card(FACTS, ample, quality, [])


@given(text=st.text(st.sampled_from('abc -"\n'), min_size=1, max_size=600))
@settings(deadline=None)
def test_the_card_wraps_a_sample_and_keeps_its_words(text: str) -> None:
    card = model_card(FACTS, RUN, Quality(3.5, 3.4, 1.5, 1.6, 3.3), [Sample("Once", text)])
    shown = card.partition("**Once**")[2].partition("## Limits")[0].strip().splitlines()
    assert all(line.startswith(">") for line in shown)
    assert [word for line in shown for word in line[1:].split()] == text.split()
    assert all(len(line) <= 102 or " " not in line[2:] for line in shown)
