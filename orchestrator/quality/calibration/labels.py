"""Labels for a calibration: what the cheap and the frontier model answered on the same items, and who was right."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from firstline.config.catalogue.answer_fields import comparators_of
from firstline.orchestrator.quality.calibration.threshold import Target
from firstline.orchestrator.quality.judge.error import UNMEASURED, JudgeError
from firstline.schemas.base import Json, JsonObject, digest
from firstline.schemas.comparator import JUDGE, Comparator
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, PlannedStep, Quality
from firstline.schemas.policy import Confidence
from firstline.schemas.skill import Skill
from firstline.workers.rules.json_paths import MISSING, Absent, dig
from firstline.workers.rules.likeness import Likeness, likeness
from firstline.workers.rules.scoring import compare, gold_as, gold_of

#: Stands for "no confidence": below every signal's 0..1, so such an answer escalates.
NO_CONFIDENCE = -1e9
#: How answers are compared where nothing says otherwise.
EXACT = "exact"
#: Share of a certificate's delta that goes to how often its judge misses a difference.
DELTA_OF_JUDGE = 0.2


@dataclass(frozen=True)
class Answer:
    """What a tier came to on one subtask; `MISSING`: it gave no usable answer."""

    value: Json | Absent
    model: str = ""
    confidence: Confidence | None = None


@dataclass(frozen=True)
class Pair:
    """One item, answered by both."""

    item_id: str
    item: JsonObject
    cheap: Answer
    frontier: Answer


@dataclass(frozen=True)
class Truth:
    """What is right: gold that items carry, else what the frontier says."""

    #: None: no gold; the frontier counts as right.
    quality: Quality | None = None
    compare: str = EXACT
    #: Dotted path that is compared; the whole answer when missing.
    field: str | None = None
    folders: tuple[Path, ...] = ()
    #: Without gold: how each field of two answers is compared; None: they are compared as `compare` says.
    fields: Mapping[str, Comparator | None] | None = None
    #: What a judge has said of two texts, by `Likeness.key`; grows as it is asked.
    judged: dict[str, bool] = dataclasses.field(default_factory=dict)
    #: How often that judge is wrong.
    error: JudgeError = UNMEASURED

    @property
    def has_judge(self) -> bool:
        """Whether a judge may have to tell if two answers are the same."""
        return self.quality is None and any(one is not None and one.by == JUDGE for one in (self.fields or {}).values())

    @property
    def judge_alone(self) -> bool:
        """Whether nothing but what the judge says is compared."""
        return self.has_judge and all(one is None or one.by == JUDGE for one in (self.fields or {}).values())

    @property
    def tells_nothing(self) -> bool:
        """Whether nobody compares any field, so that no two answers can be called the same or not."""
        return self.quality is None and self.fields is not None and not any(self.fields.values())

    @property
    def uncompared(self) -> list[str]:
        """The fields that nobody compares, for people; where gold or one comparison decides there are none."""
        silent = () if self.quality is not None else [path for path, one in (self.fields or {}).items() if one is None]
        return [path or "the answer" for path in silent]

    def through(self, target: Target) -> Target:
        """Return what has to be shown of what a judge calls lost, so that `target` holds of what is lost.

        Of a true loss L at least L (1 - miss) is called lost, however often the same is called different; part of
        delta goes to how often the judge misses a difference at most. Without a judge: the target itself.
        """
        if not self.has_judge:
            return target
        missed = self.error.most_missed(DELTA_OF_JUDGE * target.delta)
        return Target(target.max_loss * (1 - missed), target.delta * (1 - DELTA_OF_JUDGE))

    def score(self, answer: Json | Absent, item: JsonObject) -> float | None:
        """Return how well an answer meets the item's gold, 0..1; None where the item carries none."""
        assert self.quality is not None
        gold = gold_of(self.quality, item)
        if gold is MISSING or gold is None:
            return None
        found = _part(answer, self.quality.field)
        if found is MISSING:
            return 0.0
        wanted = gold_as(gold, found, locale=self.quality.locale)
        return compare(self.compare, found, wanted, folders=self.folders)

    def agreement(self, answer: Json | Absent, other: Json | Absent) -> float | None:
        """Return how far an answer agrees with the frontier's, 0..1.

        None where nobody can tell: the frontier has no answer, no field is compared, or the judge was not asked.
        """
        if self.fields is None:
            reference = _part(other, self.field)
            return None if reference is MISSING else self._like(answer, reference, self.field)
        if other is MISSING or self.tells_nothing:
            return None
        if answer is MISSING:
            return 0.0
        found = likeness(self.fields, answer, other, folders=self.folders)
        same = self.judged.get(found.key) if found.needs_judge else found.is_same
        return None if same is None else float(same)

    def open_question(self, answer: Json | Absent, other: Json | Absent) -> Likeness | None:
        """Return what a judge has to be asked about two answers, before anybody can tell; None: nothing."""
        if not self.has_judge or answer is MISSING or other is MISSING:
            return None
        found = likeness(self.fields or {}, answer, other, folders=self.folders)
        return found if found.needs_judge and found.key not in self.judged else None

    def _like(self, answer: Json | Absent, wanted: Json, field: str | None) -> float:
        found = _part(answer, field)
        return 0.0 if found is MISSING else compare(self.compare, found, wanted, folders=self.folders)


def _part(answer: Json | Absent, field: str | None) -> Json | Absent:
    return dig(answer, field) if field and answer is not MISSING else answer


def truth_of(
    quality: Quality | None,
    step: str,
    *,
    output: str | Mapping[str, str],
    folders: tuple[Path, ...],
    skill: Skill | None = None,
) -> Truth:
    """Return what is right for one step: the workflow's gold where its output is that step's answer, else agreement.

    Answers of a `skill` are compared field by field, as it declares or its schema says.
    """
    fields = comparators_of(skill) if skill is not None else None
    if quality is None:
        return Truth(folders=folders, fields=fields)
    field = _field_within(step, output, quality.field)
    if field is MISSING:
        return Truth(folders=folders, fields=fields)
    mine = quality.evolve(field=field)
    return Truth(quality=mine, compare=quality.compare, field=field, folders=folders)


def step_truth(
    plan: Plan,
    planned: PlannedStep,
    quality: Quality | None,
    *,
    compare: str | None,
    field: str | None,
    folders: tuple[Path, ...],
) -> Truth:
    """Return what is right for a step of a plan; a comparison that was named counts where there is no gold."""
    skill = plan.skills[planned.step.skill or ""]
    found = truth_of(quality, planned.step.name, output=plan.output, folders=folders, skill=skill)
    return Truth(compare=compare, field=field, folders=folders) if found.quality is None and compare else found


def refuse_uncompared(truth: Truth, skill: Skill) -> None:
    """Raise a UserError before anything is paid where no two answers of a skill could be called the same or not."""
    if truth.tells_nothing:
        raise UserError(
            f"nobody compares two answers of skill '{skill.name}': {', '.join(truth.uncompared)} may hold any text; "
            "say how in the skill, such as `compare: judge` (a model judges) or `compare: exact`, name --compare, or "
            "name the field with the right answers by --gold"
        )


def output_truth(plan: Plan, *, folders: tuple[Path, ...]) -> Truth:
    """Return what is right for a workflow's output without gold: its parts are compared as their steps' fields are."""
    if isinstance(plan.output, str):
        skill = _skill_of(plan, plan.output)
        return Truth(folders=folders, fields=comparators_of(skill) if skill else None)
    fields: dict[str, Comparator | None] = {}
    for name, reference in plan.output.items():
        root, _, path = reference.partition(".")
        skill = _skill_of(plan, root)
        known = comparators_of(skill) if skill else {path: Comparator(by=EXACT)}
        fields |= {_joined(name, at, path): by for at, by in known.items() if _within(at, path) or _within(path, at)}
    return Truth(folders=folders, fields=fields)


def output_skill(plan: Plan) -> Skill | None:
    """Return the skill whose answers a workflow's output is made of; None where there is none, or several."""
    roots = [plan.output] if isinstance(plan.output, str) else [one.partition(".")[0] for one in plan.output.values()]
    skills = {skill.name: skill for root in roots if (skill := _skill_of(plan, root))}
    return next(iter(skills.values())) if len(skills) == 1 else None


def _skill_of(plan: Plan, step: str) -> Skill | None:
    names = {planned.step.name: planned.step.skill for planned in plan.steps}
    return plan.skills.get(names.get(step) or "")


def _within(path: str, other: str) -> bool:
    return not other or path == other or path.startswith(f"{other}.")


def _joined(name: str, path: str, below: str) -> str:
    rest = path.removeprefix(below).removeprefix(".") if _within(path, below) else ""
    return f"{name}.{rest}" if rest else name


def _field_within(step: str, output: str | Mapping[str, str], field: str | None) -> str | Absent | None:
    """Return the path into a step's answer that the quality looks at; `MISSING` where it looks at another step's."""
    if isinstance(output, str):
        return field if output == step else MISSING
    if field is None:
        return MISSING
    name, _, rest = field.partition(".")
    root, _, path = output.get(name, "").partition(".")
    return (".".join(part for part in (path, rest) if part) or None) if root == step else MISSING


def is_loss(pair: Pair, truth: Truth) -> bool | None:
    """Say whether accepting the cheap answer lost what the frontier has; None where nobody can tell."""
    right = _label(pair, truth)
    return None if right is None else not right[0] and right[1] is not False


def _label(pair: Pair, truth: Truth) -> tuple[bool, bool | None] | None:
    if truth.quality is None:
        agrees = truth.agreement(pair.cheap.value, pair.frontier.value)
        return None if agrees is None else (agrees >= 1, None)
    ours, theirs = (truth.score(answer.value, pair.item) for answer in (pair.cheap, pair.frontier))
    return None if ours is None or theirs is None else (ours >= 1, theirs > ours or theirs >= 1)


def main_signal(answers: Sequence[Answer]) -> str | None:
    """Return the signal that most answers have a value of; None where none has any."""
    counted = Counter(answer.confidence.signal for answer in answers if answer.confidence is not None)
    return max(counted, key=lambda name: counted[name], default=None)


def refuse_contradictions(items: Iterable[tuple[str, JsonObject]], quality: Quality | None) -> None:
    """Raise a UserError where equal inputs (id, fields) carry different gold: one of the labels must be wrong."""
    if quality is None:
        return
    root = quality.gold.partition(".")[0]
    seen: dict[str, tuple[str, JsonObject]] = {}
    for item_id, item in items:
        rest = {name: value for name, value in item.items() if name not in ("id", root)}
        first_id, first = seen.setdefault(digest(rest), (item_id, item))
        if gold_of(quality, first) != gold_of(quality, item):
            raise UserError(
                f"items {first_id} and {item_id} are the same but carry different `{quality.gold}`; mend the "
                "wrong one, or leave both out"
            )
