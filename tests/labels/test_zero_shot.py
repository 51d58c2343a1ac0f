"""Labels from a vocabulary, with a tiny CLIP that is built from a configuration."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel, CLIPProcessor

import neurflow
from neurflow.errors import RequestError
from neurflow.labels import (
    ClipLabeler,
    JudgeRequest,
    LabelRequest,
    Settings,
    find,
    manual,
    read_vocabulary,
)
from neurflow.labels.labeler import Picture
from neurflow.labels.zero_shot import contrast, nonsense
from tests.clip import save_tiny_clip

WORDS = ("wheel", "petal", "cap", "stamp")


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory) -> Path:
    """A CLIP with two layers of 16 features, random weights from a seed and a letter tokenizer."""
    folder = tmp_path_factory.mktemp("tiny-clip")
    save_tiny_clip(folder)
    return folder


def untrained(folder: Path, seed: int) -> Path:
    """The same CLIP with other weights."""
    copy = folder.parent / f"untrained-{seed}"
    torch.manual_seed(seed)
    CLIPModel(CLIPConfig.from_pretrained(folder)).save_pretrained(copy)
    CLIPProcessor.from_pretrained(folder).save_pretrained(copy)
    return copy


@pytest.fixture(scope="module")
def labeler(tiny_clip) -> ClipLabeler:
    return ClipLabeler(tiny_clip, WORDS)


def picture(colour: tuple[int, int, int]) -> Picture:
    data = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(data, "WEBP", lossless=True)
    return Picture(data.getvalue(), 40, 0, (0, 0, 40, 40))


REDS = tuple(picture((200 + i, 20, 20)) for i in range(5))
BLUES = tuple(picture((20, 20, 200 + i)) for i in range(6))


def test_contrast_subtracts_the_similarity_with_other_crops():
    own = np.array([[0.9, 0.5], [0.9, 0.7]])
    others = np.array([[0.9, 0.1], [0.9, 0.3]])
    # word 0 fits all crops equally well: 0. word 1: 0.6 - 0.2, with a standard deviation of 0.1.
    assert contrast(own, others) == pytest.approx([0.0, 4.0])


def test_similarities_equal_those_of_the_model(labeler, tiny_clip):
    model = CLIPModel.from_pretrained(tiny_clip).eval()
    processor = CLIPProcessor.from_pretrained(tiny_clip)
    images = [Image.open(io.BytesIO(p.data)).convert("RGB") for p in (*REDS, *BLUES)]
    text = [f"a photo of {word}" for word in WORDS]
    inputs = processor(text=text, images=images, return_tensors="pt", padding=True)
    with torch.inference_mode():
        logits = model(**inputs).logits_per_image / model.logit_scale.exp()
    expected = contrast(logits[:5].numpy(), logits[5:].numpy())
    assert labeler.contrast(WORDS, REDS, BLUES) == pytest.approx(expected, rel=1e-3)


def test_the_best_word_is_the_label_and_the_margin_is_stored(labeler, planted):
    answer = labeler.label(LabelRequest("g/0", "g", REDS, others=BLUES))
    values = dict(zip(WORDS, labeler.contrast(WORDS, REDS, BLUES), strict=True))
    assert answer.label == max(values, key=values.get)
    assert [w.score for w in answer.words] == pytest.approx(sorted(values.values(), reverse=True))
    refused = labeler.label(LabelRequest("g/0", "g", REDS, others=BLUES, rejected=(answer.label,)))
    assert refused.label == answer.words[1].word
    group = neurflow.label(planted, labeler, groups=["late/0"]).group("late/0")
    assert (group.evidence.source, group.evidence.author) == ("words", labeler.name)
    assert group.label == group.evidence.words[0].word
    assert group.evidence.margin == pytest.approx(
        group.evidence.words[0].score - group.evidence.words[1].score
    )
    assert group.evidence.validation.judge == labeler.name


def test_a_clip_judge_ranks_by_similarity(labeler):
    scores = labeler.judge(JudgeRequest("wheel", None, (*REDS, *BLUES)))
    assert len(scores) == 11 and all(0 < score < 1 for score in scores)
    assert min(scores) < 0.5 < max(scores)
    assert labeler.judge(JudgeRequest("wheel", None, REDS[:1])) == (0.5,)


@pytest.mark.parametrize("seed", range(3))
def test_an_untrained_judge_lets_no_label_pass(tiny_clip, planted, seed):
    """It gives similar crops similar scores, so its words beat chance; so do meaningless words."""
    words = (*WORDS, "sky", "grass", "water", "fur", "eye", "stone", "glass", "leaf")
    clip = ClipLabeler(untrained(tiny_clip, seed), words)
    settings = Settings(constant=False, workers=1)
    labelled = neurflow.label(planted, clip, settings=settings)
    found = [g.evidence.validation for layer in labelled.layers for g in layer.groups]
    assert sum(each.beats_chance for each in found) >= 1, "chance alone lets some pass"
    assert all(each.doubt for each in found)
    assert all(each.nonsense.count > 1 and each.others.count > 3 for each in found)


def test_manual_labels_are_also_compared_with_meaningless_words(tiny_clip, planted):
    clip = ClipLabeler(untrained(tiny_clip, 0))
    named = manual.set_label(planted.group("late/0"), "a stamp", author="ada")
    layers = tuple(
        layer.model_copy(
            update={"groups": tuple(named if g.id == named.id else g for g in layer.groups)}
        )
        for layer in planted.layers
    )
    circuit = planted.model_copy(update={"layers": layers})
    found = neurflow.label(circuit, clip, groups=["late/0"]).group("late/0").evidence
    assert found.source == "person"
    assert found.doubt and found.validation.nonsense.count >= 10


def test_meaningless_words_have_the_lengths_and_letters_of_the_vocabulary():
    made = nonsense(("wheel", "blue cap"), 1000)
    assert 30 <= len(made) <= 38 and made == nonsense(("wheel", "blue cap"), 1000)
    assert {len(word) for word in made} == {5, 8}
    assert all(word.index(" ") == 4 for word in made if len(word) == 8)
    assert set("".join(made)) <= set("wheel blue cap")
    assert len(nonsense(("wheel", "blue cap"), 7)) <= 7


def test_text_search_by_crops_ranks_every_group(labeler, planted):
    found = find(planted, "wheel", labeler)
    assert sorted(match.group for match in found) == sorted(
        group.id for layer in planted.layers for group in layer.groups
    )
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)


def test_text_search_in_labels(circuit):
    assert [m.group for m in find(circuit, "Yellow STRIPE")] == ["block/0"]
    assert [m.score for m in find(circuit, "yellow wheel")] == [0.5]
    assert find(circuit, "wheel") == []
    with pytest.raises(RequestError, match="no word to search for"):
        find(circuit, "  ")


def test_errors_for_models_that_cannot_be_loaded(tmp_path, tiny_clip):
    with pytest.raises(RequestError, match="Cannot load a CLIP-style model"):
        ClipLabeler(tmp_path, WORDS)
    with pytest.raises(RequestError, match="for the word"):
        ClipLabeler(tiny_clip, WORDS, template="a photo")
    with pytest.raises(RequestError, match="two words"):
        ClipLabeler(tiny_clip, ["one"]).label(LabelRequest("g/0", "g", REDS, others=BLUES))


def test_pickled_weights_are_not_loaded(tmp_path, tiny_clip):
    folder = tmp_path / "pickled"
    folder.mkdir()
    for file in tiny_clip.iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    torch.save({"weight": torch.zeros(1)}, folder / "pytorch_model.bin")
    with pytest.raises(RequestError, match="Cannot load a CLIP-style model"):
        ClipLabeler(folder, WORDS)


def test_a_vocabulary_is_a_file_of_words(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("# parts\nwheel\n\n  turquoise stamp \n")
    assert read_vocabulary(file) == ("wheel", "turquoise stamp")
    file.write_text("wheel\n")
    with pytest.raises(RequestError, match="two words"):
        read_vocabulary(file)
    with pytest.raises(RequestError, match="Cannot read the vocabulary"):
        read_vocabulary(tmp_path / "none.txt")
