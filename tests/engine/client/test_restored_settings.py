"""What a worker that died is restarted with."""

import msgspec
from child_scripts import Clock
from frame_samples import frame
from prodtop.engine.client.restored_settings import TRIAL_S, RestoredSettings
from prodtop.engine.protocol import (
    EngineChanges,
    Frame,
    LoadSpec,
    PrecisionName,
    SetLoad,
    SetPrecision,
    SetSlo,
    SetSpeculation,
    SetStrategy,
    SloSpec,
    SpeculationSpec,
    StrategyName,
)
from prodtop.engine.protocol.options import WorkerOptions


def at(precision: PrecisionName) -> Frame:
    return msgspec.structs.replace(frame(), precision=precision)


def serving(clock: Clock) -> RestoredSettings:
    settings = RestoredSettings(WorkerOptions(), clock)
    settings.on_frame(at(PrecisionName.BF16))
    return settings


def test_all_that_was_asked_last_is_dropped_when_the_worker_dies_of_itself() -> None:
    clock = Clock()
    settings = serving(clock)
    settings.on_asked(SetStrategy(name=StrategyName.SINGLE))
    settings.on_asked(SetLoad(load=LoadSpec(users=900)))
    settings.on_asked(SetSpeculation(spec=SpeculationSpec(drafts=2)))
    settings.on_frame(at(PrecisionName.INT8))
    dropped = settings.on_death(by_itself=True)
    assert [words.split()[0] for words in dropped] == [
        "precision",
        "strategy",
        "load",
        "speculation",
    ]
    assert settings.options == WorkerOptions(precision=PrecisionName.BF16)
    assert settings.speculation is None


def test_limits_stay_whatever_the_worker_died_of() -> None:
    settings = serving(Clock())
    settings.on_asked(SetSlo(slo=SloSpec(e2e_ms=900.0)))
    settings.on_asked(SetStrategy(name=StrategyName.SINGLE))
    settings.on_death(by_itself=True)
    assert settings.options.slo == SloSpec(e2e_ms=900.0)
    assert settings.options.strategy is WorkerOptions().strategy


def test_what_was_served_with_for_long_stays() -> None:
    clock = Clock()
    settings = serving(clock)
    settings.on_asked(SetPrecision(name=PrecisionName.INT8))
    settings.on_frame(at(PrecisionName.INT8))
    clock.now_s += TRIAL_S
    settings.on_frame(at(PrecisionName.INT8))
    assert settings.on_death(by_itself=True) == []
    assert settings.options.precision is PrecisionName.INT8


def test_the_trial_counts_served_time_alone() -> None:
    clock = Clock()
    settings = serving(clock)
    settings.on_asked(SetStrategy(name=StrategyName.SINGLE))
    clock.now_s += 10 * TRIAL_S
    settings.on_frame(at(PrecisionName.BF16))
    assert settings.on_death(by_itself=True) == ["strategy single"]


def test_a_worker_that_somebody_killed_keeps_all_but_a_precision_not_reached() -> None:
    settings = serving(Clock())
    settings.on_asked(SetStrategy(name=StrategyName.SINGLE))
    settings.on_asked(SetPrecision(name=PrecisionName.INT4))
    assert settings.on_death(by_itself=False) == ["precision int4"]
    assert settings.options == WorkerOptions(
        precision=PrecisionName.BF16, strategy=StrategyName.SINGLE
    )


def test_options_of_a_new_engine_are_on_trial_like_everything_else() -> None:
    settings = serving(Clock())
    settings.start_with(EngineChanges(kv_gib=2.0, max_seqs=64))
    on_trial = settings.on_trial
    assert (settings.options.kv_gib, settings.options.max_seqs) == (2.0, 64)
    assert settings.on_death(by_itself=True) == ["max-seqs 64", "kv-gib 2.0"]
    assert (on_trial, settings.on_trial) == (True, False)
    assert settings.options == WorkerOptions(precision=PrecisionName.BF16)


def test_another_model_leaves_behind_what_belonged_to_the_one_before() -> None:
    settings = RestoredSettings(
        WorkerOptions(context_tokens=512, speculation=SpeculationSpec(draft_model="small")), Clock()
    )
    settings.start_with(EngineChanges(model="other"))
    assert settings.options == WorkerOptions(model="other")
