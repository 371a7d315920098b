def test_quality_reads_back_equal_and_a_file_without_it_is_read(tmp_path: Path) -> None:
    interval = Interval(value=20.2, low=19.3, high=21.1)
    level = LevelQuality(
        precision=PrecisionName.BF16,
        reference=PrecisionName.BF16,
        weights_bytes=16_785_920,
        scored_tokens=14_025,
        perplexity=interval,
        ratio=None,
        divergence=None,
        text=None,
        greedy=GreedyText(prompt="Once\n", text="upon\na time", parts_at=None),
        scored_tok_s=2394.8,
    )
    quality = QualityRecord(model="small", device="cpu", levels=[level], errors=[], skipped=[])
    path = save_snapshot(snapshot(quality=quality), "", tmp_path)
    assert load_snapshot(path).quality == quality
    fields = json.loads(path.read_text())
    del fields["quality"]
    path.write_text(json.dumps(fields))
    assert load_snapshot(path).quality is None
