"""The Python client `kr8s` against a server: `KUBECONFIG` says which. Each check is a law by its name; one that fails ends it."""

import os

import kr8s
from kr8s.objects import ConfigMap, new_class

Timer = new_class(kind="Timer", version="drover.dev/v1", namespaced=True)
Service = new_class(kind="Service", version="drover.dev/v1", namespaced=True, scalable=True)


def an_object_is_made_got_patched_labelled_and_deleted(api):
    beat = Timer(
        {
            "metadata": {"name": "beat", "namespace": "default"},
            "spec": {"every": "1h", "template": {"process": {"command": ["/bin/true"]}}},
        },
        api=api,
    )
    beat.create()
    assert beat.exists()
    beat.patch({"spec": {"every": "2h"}})
    beat.label({"tier": "web"})
    beat.annotate({"note": "yes"})
    beat.refresh()
    assert (beat.spec["every"], beat.labels["tier"], beat.annotations["note"]) == ("2h", "web", "yes")
    assert [found.name for found in api.get(Timer, "beat", namespace="default")] == ["beat"]
    assert [found.name for found in api.get(Timer, namespace="default", label_selector={"tier": "web"})] == ["beat"]
    beat.patch([{"op": "replace", "path": "/spec/every", "value": "3h"}], type="json")
    assert beat.spec["every"] == "3h"
    beat.delete()
    assert not beat.exists()


def kinds_are_found_by_their_names(api):
    names = {resource["kind"] for resource in api.api_resources()}
    assert {"ConfigMap", "Secret", "Timer", "Task", "Service", "Run", "Node"} <= names, names
    assert [found.name for found in api.get("namespaces", "default")] == ["default"]


def a_service_is_scaled(api):
    spec = {"replicas": 1, "template": {"process": {"command": ["/bin/sleep", "60"]}}}
    service = Service({"metadata": {"name": "kr8s", "namespace": "default"}, "spec": spec}, api=api)
    service.create()
    service.patch({"spec": {"replicas": 2}}, subresource="scale")
    service.refresh()
    assert service.spec["replicas"] == 2
    service.delete()


def a_watch_shows_what_is_and_what_goes(api):
    held = ConfigMap({"metadata": {"name": "kr8s", "namespace": "default"}, "data": {"k": "v"}}, api=api)
    held.create()
    seen = []
    for event, found in api.watch("configmaps", namespace="default"):
        seen.append((event, found.name))
        if event == "ADDED":
            held.delete()
        if event == "DELETED":
            break
    assert seen == [("ADDED", "kr8s"), ("DELETED", "kr8s")], seen


def main():
    api = kr8s.api(kubeconfig=os.environ["KUBECONFIG"])
    laws = [
        an_object_is_made_got_patched_labelled_and_deleted,
        kinds_are_found_by_their_names,
        a_service_is_scaled,
        a_watch_shows_what_is_and_what_goes,
    ]
    for law in laws:
        law(api)
        print(law.__name__, flush=True)


if __name__ == "__main__":
    main()
