"""`wolter catalogue list`."""

from dataclasses import dataclass

from wolter.catalogue import release


@dataclass(frozen=True)
class CatalogueList:
    """List the releases of the catalogue, oldest first; a star marks the current one."""

    def run(self) -> int:
        """List them."""
        now = release.current()
        for name in release.names():
            path = release.find(name)
            about = release.load(path)
            star = "*" if now == path else " "
            simulated = ", simulated" if about.simulated else ""
            models = ", ".join(f"{model} {version}" for model, version in about.models.items())
            print(
                f"{star} {name}  {about.made}  {about.rows['source']} sources, "
                f"{about.rows['detection']} detections{simulated}  {models}"
            )
        if not release.names():
            print(f"no release in {release.folder()}; make one with `wolter catalogue build`")
        return 0


COMMAND = CatalogueList
