"""A student learns closed answers from texts, is the same after storage, and says what it cannot do."""

import numpy as np
import pytest

from firstline.orchestrator.quality.students.training import train
from firstline.schemas.errors import UserError
from firstline.workers.rules.student_model import StudentModel
from firstline.workers.rules.text_features import text_features

TOPICS = {"card": "my bank card is lost", "rate": "what is the exchange rate", "top": "please top up my account"}


def tickets(count, seed=0, topics=TOPICS):
    rng = np.random.default_rng(seed)
    names = list(topics)
    drawn = [names[at] for at in rng.integers(0, len(names), count)]
    words = [topics[name].split() for name in drawn]
    texts = [" ".join([*rng.choice(own, 3), *rng.choice(["hello", "now", "why", "can"], 2)]) for own in words]
    return texts, [f'"{name}"' for name in drawn]


def taught(count=300, topics=TOPICS):
    texts, answers = tickets(count, topics=topics)
    return train(text_features(texts), answers, np.ones(count, dtype=bool))


def test_a_student_answers_items_that_it_has_not_seen():
    texts, answers = tickets(200, seed=9)
    said, margins = taught().model.answer(texts)
    right = np.array([taught().model.answers[at] for at in said]) == np.array(answers)
    assert right.mean() > 0.9
    assert margins[right].mean() > margins[~right].mean() if (~right).any() else True


def test_two_answers_are_enough():
    two = {name: TOPICS[name] for name in ("card", "rate")}
    texts, answers = tickets(100, seed=3, topics=two)
    model = taught(topics=two).model
    said, _ = model.answer(texts)
    assert np.mean([model.answers[at] == answer for at, answer in zip(said, answers, strict=True)]) > 0.9


def test_one_answer_is_nothing_to_learn_from():
    texts, _ = tickets(50)
    with pytest.raises(UserError, match="answers that differ"):
        train(text_features(texts), ['"card"'] * 50, np.ones(50, dtype=bool))


def test_the_held_out_record_speaks_of_opening_items_alone_each_answered_by_a_student_that_did_not_see_it():
    texts, answers = tickets(300)
    opening = np.arange(300) < 120
    unlearnable = ['"rate"' if answer == '"card"' else '"card"' for answer in answers[:120]]
    lesson = train(text_features(texts), [*unlearnable, *answers[120:]], opening)
    assert len(lesson.held_out.wrong) == 120
    assert lesson.held_out.wrong.mean() > 0.5
    assert (np.diff(lesson.held_out.margins) <= 0).all()


def test_a_student_is_the_same_after_storage_and_one_of_another_version_is_refused(monkeypatch):
    model = taught().model
    texts, _ = tickets(50, seed=4)
    packed = model.pack()
    again = StudentModel.unpack(packed)
    assert again.answers == model.answers
    assert np.array_equal(again.answer(texts)[1], model.answer(texts)[1])
    monkeypatch.setattr("firstline.workers.rules.student_model.VERSION", 2)
    with pytest.raises(UserError, match="another version of Firstline"):
        StudentModel.unpack(packed)


def test_texts_without_words_and_long_texts_have_vectors_too():
    features = text_features(["", "🙂", "word " * 100_000])
    assert features.shape[0] == 3
    assert features[0].nnz == 0
    assert features[1].nnz > 0
