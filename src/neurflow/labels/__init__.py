"""Concept labelling: label groups, and validate the labels."""

from neurflow.labels import manual
from neurflow.labels.budget import Budget, BudgetSpent, Prices
from neurflow.labels.cache import Cache
from neurflow.labels.chat import ChatLabeler
from neurflow.labels.label_requests import Settings
from neurflow.labels.labeler import (
    Judge,
    JudgeRequest,
    LabelAnswer,
    Labeler,
    LabelFailed,
    LabelRequest,
    NoPictures,
)
from neurflow.labels.labelling import (
    Job,
    LabelsIncomplete,
    Outcome,
    label,
    label_groups,
)
from neurflow.labels.openai_client import OpenAIChat
from neurflow.labels.registry import labeler_named, register, registered
from neurflow.labels.rehearsal import rehearse
from neurflow.labels.search import Match, find
from neurflow.labels.summary import summary
from neurflow.labels.zero_shot import ClipLabeler, read_vocabulary

__all__ = [
    "Budget",
    "BudgetSpent",
    "Cache",
    "ChatLabeler",
    "ClipLabeler",
    "Job",
    "Judge",
    "JudgeRequest",
    "LabelAnswer",
    "LabelFailed",
    "LabelRequest",
    "Labeler",
    "LabelsIncomplete",
    "Match",
    "NoPictures",
    "OpenAIChat",
    "Outcome",
    "Prices",
    "Settings",
    "find",
    "label",
    "label_groups",
    "labeler_named",
    "manual",
    "read_vocabulary",
    "register",
    "registered",
    "rehearse",
    "summary",
]
