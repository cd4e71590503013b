"""A gpt-oss folder: config.json of either layout, the vocabulary where the folder has none."""

from __future__ import annotations

from pathlib import Path

from palaver.engines.gpt_oss import config
from palaver.engines.host.folder import Folder
from palaver.engines.host.vocabulary import JsonVocabulary

_ENDS = ("<|return|>", "<|call|>")  # of a reply: https://github.com/openai/harmony
_TOKENIZER = "tokenizer.json"


class GptOssFolder(Folder):
    """A folder of either layout."""

    def __init__(self, path: Path) -> None:
        """Read it; raises UserError for what is missing, damaged, or of another model."""
        super().__init__(path)
        self.shape = config.read(self.config, path / "config.json")

    @property
    def architecture(self) -> str:
        """The type that Hugging Face's layout names."""
        return "gpt_oss"

    @property
    def name(self) -> str:
        """The model's name; OpenAI's files lie in a folder `original` within the model's."""
        return self.path.parent.name if self.path.name == "original" else super().name

    @property
    def trained(self) -> int:
        """How many tokens of context the model was trained for, with YaRN."""
        return self.shape.context

    def vocabulary(self) -> JsonVocabulary:
        """Read tokenizer.json: the folder's, that of the model's folder, else one that is made.

        Raises UserError, EngineError where none can be had.
        """
        places = [self.path]
        if self.path.name == "original":
            places.append(self.path.parent)
        for place in places:
            if (place / _TOKENIZER).is_file():
                return JsonVocabulary(place / _TOKENIZER)
        from palaver.config import paths
        from palaver.engines.gpt_oss import vocabulary

        return JsonVocabulary(vocabulary.make(paths.data_dir() / "vocabulary"))

    def ends(self, vocabulary: JsonVocabulary) -> frozenset[int]:
        """Return the ids that end a reply: Harmony's, and those that a file names."""
        harmony = (vocabulary.id_of(text) for text in _ENDS)
        return super().ends(vocabulary) | {i for i in harmony if i is not None}
