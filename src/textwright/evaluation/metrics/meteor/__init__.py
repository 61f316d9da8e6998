"""METEOR 1.5 for English: matches of words and of stems, weighed by how much a word says, and by their order."""

from textwright.evaluation.metrics.meteor.metric import Meteor, MeteorOwnWords, MeteorSynonyms

__all__ = ["Meteor", "MeteorOwnWords", "MeteorSynonyms"]
