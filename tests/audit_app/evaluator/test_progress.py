"""What whoever watches is told."""

from __future__ import annotations

import time

import pytest

from annotations.workspace import Workspace
from audit_app.evaluator.progress import (
    Cancelled,
    EvaluationProgress,
    Pace,
    Watch,
    Watcher,
    progress_file,
    read_progress,
)

STAGES = ("encode", "train", "report")


def test_a_line_says_stage_epoch_loss_speed_and_time_left() -> None:
    moment = EvaluationProgress(
        "train", 2, 3, epoch=3, epochs=10, validation_losses=(0.5, 0.4, 0.31239),
        images_per_s=12.34, eta_s=1500, message="batch 3 of 9",
    )  # fmt: skip
    assert moment.line() == (
        "train (2 of 3), epoch 3 of 10, validation loss 0.3124, 12.3 images/s, "
        "about 25 min left, batch 3 of 9"
    )


def test_stages_epochs_and_shares_are_told_in_order() -> None:
    told: list[tuple[int, int, str]] = []
    watch = Watch(Watcher(lambda *now: told.append(now) or False), STAGES)  # type: ignore[func-returns-value]
    watch.begin("encode", counts_images=True)
    watch.step(0, 10, "picture 0")
    watch.step(5, 10, "picture 5")
    watch.begin("train", epochs=2)
    watch.epoch(1, 0.7, 0.6)
    watch.epoch(2, 0.5, 0.55)
    assert watch.now.train_losses == (0.7, 0.5)
    assert watch.now.validation_losses == (0.6, 0.55)
    watch.epoch(1, 0.9, 0.8)  # the next training of the same stage
    assert watch.now.validation_losses == (0.8,)
    assert watch.now.finished_stages == ("encode",)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert (told[2][0], told[2][1]) == (167, 1000)
    assert "images/s" in told[2][2]
    watch.begin("report")
    watch.step(1, 1, "")
    assert told[-1][:2] == (1000, 1000)


def test_a_training_s_pace_counts_batches_not_the_pictures_read_before() -> None:
    pace = Pace(0, 24)
    pace.step(1, "read picture 1 of 500")
    time.sleep(0.02)
    pace.step(500, "read picture 500 of 500")
    assert pace.images_per_s is None
    pace.step(501, "epoch 1, batch 1 of 9")
    assert pace.steps_per_s is None
    start = time.monotonic()
    time.sleep(0.05)
    pace.step(503, "epoch 1, batch 3 of 9")
    elapsed = time.monotonic() - start
    assert pace.images_per_s == pytest.approx(48 / elapsed, rel=0.2)


def test_a_request_to_stop_ends_between_stages() -> None:
    watch = Watch(Watcher(lambda *_: True), STAGES)
    watch.begin("train")
    with pytest.raises(Cancelled, match="stopped on request in the stage 'train'"):
        watch.check()


def test_a_request_to_stop_ends_a_long_step_at_its_next_pause() -> None:
    told: list[tuple[int, int, str]] = []

    def report(*now: object) -> bool:
        told.append(now)
        return "300 of" in str(now)

    watch = Watch(Watcher(report), STAGES)
    watch.begin("train")
    pause = watch.pauses(1, 4, "measuring lp")
    pause("200 of 1000 permutations")
    assert told[-1] == (417, 1000, "train (2 of 3), measuring lp: 200 of 1000 permutations")
    with pytest.raises(Cancelled, match="stopped on request in the stage 'train'"):
        pause("300 of 1000 permutations")


def test_any_process_can_read_the_last_moment(workspace: Workspace) -> None:
    assert read_progress(workspace, 7) is None
    watch = Watch(Watcher(file=progress_file(workspace, 7)), STAGES)
    watch.begin("train", epochs=4)
    watch.epoch(1, 0.25, 0.125)
    assert read_progress(workspace, 7) == watch.now
    assert read_progress(workspace, 8) is None
