"""BigQuery's datasets, as far as their access lists go, which are no IAM policies."""

from tests.rollout.control_plane.rest import Document, Refusal, Request

__all__ = ["Datasets"]

# The API takes either name of these roles and answers with the older one (Dataset.access[].role).
_BASIC = {
    "roles/bigquery.dataEditor": "WRITER",
    "roles/bigquery.dataOwner": "OWNER",
    "roles/bigquery.dataViewer": "READER",
}


class Datasets:
    """Datasets that somebody made before: their documents by `projects/…/datasets/…`."""

    def __init__(self) -> None:
        self.all: dict[str, Document] = {}

    def answer(self, request: Request) -> Document:
        """Answer datasets.get or datasets.patch."""
        if request.path not in self.all:
            raise Refusal(404, f"Not found: {request.path}")
        dataset = self.all[request.path]
        if request.method == "PATCH":
            patch = request.document
            for entry in patch.get("access", []):
                if "role" in entry:
                    entry["role"] = _BASIC.get(entry["role"], entry["role"])
            dataset |= patch
        return dataset
