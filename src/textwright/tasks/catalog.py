"""The table of tasks: name -> where its class is. A new one is a file and a row here, or a TOML file of the user's."""

from pathlib import Path

from textwright.core.catalog import Catalog
from textwright.tasks.base import Task
from textwright.tasks.described import read_described

TASKS = Catalog(
    "task",
    "textwright.tasks",
    {
        "classification": "textwright.tasks.classification:Classification",
        "code_completion": "textwright.tasks.code_completion:CodeCompletion",
        "code_infilling": "textwright.tasks.code_infilling:CodeInfilling",
        "data_to_text": "textwright.tasks.data_to_text:DataToText",
        "dialogue": "textwright.tasks.dialogue:Dialogue",
        "email": "textwright.tasks.email:Email",
        "information_extraction": "textwright.tasks.information_extraction:InformationExtraction",
        "keywords_to_text": "textwright.tasks.keywords_to_text:KeywordsToText",
        "line_infilling": "textwright.tasks.line_infilling:LineInfilling",
        "named_entities": "textwright.tasks.named_entities:NamedEntities",
        "open_ended": "textwright.tasks.open_ended:OpenEnded",
        "relations": "textwright.tasks.relations:Relations",
        "resume": "textwright.tasks.resume:Resume",
        "style_transfer": "textwright.tasks.style_transfer:StyleTransfer",
        "styled_text": "textwright.tasks.styled_text:StyledText",
        "subject_line": "textwright.tasks.subject_line:SubjectLine",
        "summarisation": "textwright.tasks.summarisation:Summarisation",
        "translation": "textwright.tasks.translation:Translation",
    },
)


def find_task(name: str) -> Task:
    """The task of a name, or of a TOML file.

    Raises:
        InputError: there is none of that name, or the file does not describe one.
    """
    if name.endswith(".toml"):
        return read_described(Path(name).expanduser())
    found: Task = TASKS.load(name)()
    return found
