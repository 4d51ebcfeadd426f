"""The Python client `lightkube` against a server: `KUBECONFIG` says which. Each check is a law by its name; one that fails ends it."""

from lightkube import ApiError, Client
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Namespace
from lightkube.types import CascadeType, PatchType

Timer = create_namespaced_resource("drover.dev", "v1", "Timer", "timers")


def timer(name, **spec):
    template = {"process": {"command": ["/bin/true"]}}
    return Timer(metadata=ObjectMeta(name=name, namespace="default"), spec={"every": "1h", "template": template, **spec})


def refused(call):
    try:
        call()
    except ApiError as error:
        return error.status.code
    return None


def an_object_is_made_replaced_patched_and_deleted(client):
    made = client.create(ConfigMap(metadata=ObjectMeta(name="lk", namespace="default"), data={"a": "1"}))
    made.data["b"] = "2"
    client.replace(made)
    assert refused(lambda: client.replace(made)) == 409
    patched = client.patch(ConfigMap, "lk", {"data": {"a": None}}, namespace="default")
    assert patched.data == {"b": "2"}
    client.delete(ConfigMap, "lk", namespace="default", cascade=CascadeType.BACKGROUND)
    assert refused(lambda: client.get(ConfigMap, "lk", namespace="default")) == 404


def a_kind_of_ours_is_patched_in_every_way(client):
    client.create(timer("beat"))
    merged = client.patch(Timer, "beat", {"spec": {"every": "2h"}}, namespace="default", patch_type=PatchType.MERGE)
    assert merged.spec["every"] == "2h"
    ops = [{"op": "test", "path": "/spec/every", "value": "2h"}, {"op": "replace", "path": "/spec/every", "value": "3h"}]
    assert client.patch(Timer, "beat", ops, namespace="default", patch_type=PatchType.JSON).spec["every"] == "3h"
    assert client.patch(Timer, "beat", {"spec": {"every": "4h"}}, namespace="default").spec["every"] == "4h"
    client.delete(Timer, "beat", namespace="default")


def two_managers_share_or_fight(client):
    client.apply(timer("shared"), field_manager="one")
    assert refused(lambda: client.apply(timer("shared", every="2h"), field_manager="two")) == 409
    assert client.apply(timer("shared", every="2h"), field_manager="two", force=True).spec["every"] == "2h"
    client.delete(Timer, "shared", namespace="default")


def a_list_comes_in_chunks_and_is_whole(client):
    for number in range(5):
        meta = ObjectMeta(name=f"chunk-{number}", namespace="default", labels={"chunk": "yes"})
        client.create(ConfigMap(metadata=meta))
    found = client.list(ConfigMap, namespace="default", chunk_size=2)
    assert [item.metadata.name for item in found] == [f"chunk-{number}" for number in range(5)]
    client.deletecollection(ConfigMap, namespace="default")
    assert list(client.list(ConfigMap, namespace="default")) == []


def a_watch_shows_each_change(client):
    client.create(Namespace(metadata=ObjectMeta(name="lk")))
    seen = []
    for event, item in client.watch(Namespace, fields={"metadata.name": "lk"}, server_timeout=60):
        seen.append((event, item.metadata.name))
        if event == "ADDED":
            client.patch(Namespace, "lk", {"metadata": {"labels": {"seen": "yes"}}})
        if event == "MODIFIED":
            break
    assert seen == [("ADDED", "lk"), ("MODIFIED", "lk")], seen


def main():
    client = Client(field_manager="lightkube")
    laws = [
        an_object_is_made_replaced_patched_and_deleted,
        a_kind_of_ours_is_patched_in_every_way,
        two_managers_share_or_fight,
        a_list_comes_in_chunks_and_is_whole,
        a_watch_shows_each_change,
    ]
    for law in laws:
        law(client)
        print(law.__name__, flush=True)


if __name__ == "__main__":
    main()
