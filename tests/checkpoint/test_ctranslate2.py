"""Our folders in CTranslate2, by its own converter; where it is installed (the extra ``bench``)."""

from pathlib import Path

import pytest
import torch

from textwright.api.model import Model
from textwright.generation.scoring import ScoredText, score
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.tokens import make_tokenizer

ctranslate2 = pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed: pip install textwright[bench]")
pytestmark = pytest.mark.filterwarnings("ignore")
TEXT = "the cat sat on the mat, 12 times: naïve café 中文"


@pytest.mark.parametrize("spec", ["byte", "char", "bpe:280"])
def test_a_folder_of_ours_is_converted_and_writes_the_same(spec: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = make_tokenizer(spec, lambda: iter([TEXT]))
    network = build(preset("nano", vocab_size=tokenizer.vocab_size), seed=1).eval()
    with torch.no_grad():
        for weights in network.parameters():
            if weights.ndim == 2:
                weights.mul_(3)  # so that some tokens are much likelier than others
    model = Model(network, tokenizer)
    model.save(tmp_path / "ours")
    ctranslate2.converters.TransformersConverter(str(tmp_path / "ours")).convert(str(tmp_path / "theirs"))
    generator = ctranslate2.Generator(str(tmp_path / "theirs"), device="cpu", compute_type="float32")
    names = AutoTokenizer.from_pretrained(str(tmp_path / "ours")).convert_ids_to_tokens(range(tokenizer.vocab_size))

    ids = tokenizer.encode(TEXT)[: network.context_length]
    (found,) = generator.score_batch([[names[token_id] for token_id in ids]])
    (expected,) = score(network, [ScoredText(ids)])
    torch.testing.assert_close(torch.tensor(found.log_probs), expected.logprobs, atol=1e-4, rtol=0)

    prompt = [names[token_id] for token_id in tokenizer.encode("the cat")]
    (written,) = generator.generate_batch(
        [prompt], max_length=20, min_length=20, include_prompt_in_result=False, end_token=[], sampling_topk=1
    )
    (ours,) = model.complete(["the cat"], max_new_tokens=20, temperature=0, logit_bias={tokenizer.end_id: -100})
    assert list(ours.token_ids) == written.sequences_ids[0]
