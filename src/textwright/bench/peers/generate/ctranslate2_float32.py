"""CTranslate2, with a model that its own converter has made."""

from tempfile import TemporaryDirectory

from textwright.bench.writing_job import Ids, Write, WritingJob, word

SETTINGS = "Generator.generate_batch, float32, beam_size 1"
PACKAGES = ("ctranslate2", "transformers")


def prepare(job: WritingJob, compute_type: str = "float32") -> Write:
    """Convert, load and write; the converted files are gone once they are loaded."""
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    with TemporaryDirectory(dir=job.folder) as folder:
        TransformersConverter(job.folder).convert(folder, quantization=compute_type, force=True)
        generator = ctranslate2.Generator(
            folder, device="cpu", compute_type=compute_type, inter_threads=1, intra_threads=job.threads
        )

    def write(prompts: Ids, num_tokens: int) -> Ids:
        found = generator.generate_batch(
            [[word(token_id) for token_id in prompt] for prompt in prompts],
            min_length=num_tokens,
            max_length=num_tokens,
            beam_size=1,
            include_prompt_in_result=False,
        )
        return [row.sequences_ids[0] for row in found]

    return write
