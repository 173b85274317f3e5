"""Options of the evaluation of embeddings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EmbeddingEvaluation:
    """Options of the evaluation of embeddings.

    Attributes:
        learn: spectra of the training split that probes, clusters and baselines learn from; 0 for
            all.
        folds: parts of the sources that are judged; classes are told for each by what the others
            teach, `learn` spectra at most. 0: by the training split.
        clusters: number of clusters.
        seed: of clusters, probes, permutations and networks.
        fits: number of spectra that the models of their own class are fitted to, for comparison.
        transfer: number of sources of the population that are drawn as EPIC-pn would see them.
        plain: give the family's own metrics alone, without the analysis of latents.
    """

    learn: int = 30_000
    folds: int = 0
    clusters: int = 32
    seed: int = 0
    fits: int = 200
    transfer: int = 2_000
    plain: bool = False
