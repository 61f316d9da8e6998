"""How each token came to be chosen."""

from jaxtyping import Float, Int
from torch import Tensor

from textwright.generation.request import Alternative, TokenLogprobs


def token_logprobs(
    logits: Float[Tensor, "rows vocabulary"],
    filtered: Float[Tensor, "rows vocabulary"],
    chosen: Int[Tensor, " rows"],
    num_alternatives: int,
) -> list[TokenLogprobs]:
    """A report for the chosen token of each row.

    Args:
        logits: as the model saw them.
        filtered: after the processors.
        chosen: ids.
        num_alternatives: the likeliest tokens to name.
    """
    log_p = logits.log_softmax(dim=-1)
    p, filtered_p = log_p.exp(), filtered.softmax(dim=-1)
    entropies = -(p * log_p.clamp(min=-1e30)).sum(dim=-1)
    best = p.topk(min(num_alternatives, p.shape[-1]), dim=-1)
    found = []
    for row, token_id in enumerate(chosen.tolist()):
        pairs = zip(best.indices[row].tolist(), best.values[row].tolist(), strict=True)
        found.append(
            TokenLogprobs(
                token_id=token_id,
                p=float(p[row, token_id]),
                filtered_p=float(filtered_p[row, token_id]),
                rank=1 + int((logits[row] > logits[row, token_id]).sum()),
                entropy_nats=float(entropies[row]),
                top_logprobs=tuple(Alternative(*pair) for pair in pairs),
            )
        )
    return found
