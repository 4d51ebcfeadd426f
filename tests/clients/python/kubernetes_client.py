"""The Python client `kubernetes` against a server: `KUBECONFIG` says which. Each check is a law by its name; one that fails ends it."""

import threading
import time

from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException

GROUP, VERSION, NAMESPACE = "drover.dev", "v1", "default"


def timer(name, **spec):
    return {
        "apiVersion": "drover.dev/v1",
        "kind": "Timer",
        "metadata": {"name": name},
        "spec": {"every": "1h", "template": {"process": {"command": ["/bin/true"]}}, **spec},
    }


def code(call):
    try:
        call()
    except ApiException as error:
        return error.status
    return None


def a_typed_core_object_is_made_read_changed_and_deleted(api):
    core = client.CoreV1Api(api)
    meta = client.V1ObjectMeta(name="py", labels={"app": "py"})
    made = core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=meta, data={"a": "1"}))
    assert made.metadata.uid and made.metadata.creation_timestamp
    assert code(lambda: core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=meta))) == 409
    made.data["b"] = "2"
    replaced = core.replace_namespaced_config_map("py", NAMESPACE, made)
    assert replaced.data == {"a": "1", "b": "2"}
    assert code(lambda: core.replace_namespaced_config_map("py", NAMESPACE, made)) == 409, "the version was the old one"
    patched = core.patch_namespaced_config_map("py", NAMESPACE, {"data": {"a": None}})
    assert patched.data == {"b": "2"}
    listed = core.list_namespaced_config_map(NAMESPACE, label_selector="app=py")
    assert [item.metadata.name for item in listed.items] == ["py"]
    core.delete_namespaced_config_map("py", NAMESPACE)
    assert code(lambda: core.read_namespaced_config_map("py", NAMESPACE)) == 404


def a_secret_keeps_its_bytes(api):
    core = client.CoreV1Api(api)
    secret = client.V1Secret(metadata=client.V1ObjectMeta(name="py"), string_data={"word": "hush"})
    assert core.create_namespaced_secret(NAMESPACE, secret).data == {"word": "aHVzaA=="}
    core.delete_namespaced_secret("py", NAMESPACE)


def a_kind_of_ours_is_a_custom_object(api):
    custom = client.CustomObjectsApi(api)
    args = (GROUP, VERSION, NAMESPACE, "timers")
    made = custom.create_namespaced_custom_object(*args, timer("beat"))
    assert made["metadata"]["generation"] == 1
    patched = custom.patch_namespaced_custom_object(*args, "beat", {"spec": {"every": "2h"}})
    assert (patched["spec"]["every"], patched["metadata"]["generation"]) == ("2h", 2)
    ops = [{"op": "test", "path": "/spec/every", "value": "1h"}, {"op": "remove", "path": "/spec/every"}]
    json_patch = {"_content_type": "application/json-patch+json"}
    assert code(lambda: custom.patch_namespaced_custom_object(*args, "beat", ops, **json_patch)) == 422
    assert custom.get_namespaced_custom_object(*args, "beat")["spec"]["every"] == "2h"
    unknown = {"spec": {"evry": "3h"}}
    assert code(lambda: custom.patch_namespaced_custom_object(*args, "beat", unknown, field_validation="Strict")) in (400, 422)
    custom.delete_namespaced_custom_object(*args, "beat")
    assert code(lambda: custom.get_namespaced_custom_object(*args, "beat")) == 404


def the_dynamic_client_finds_kinds_and_applies_on_the_server(api):
    finds = dynamic.DynamicClient(api)
    timers = finds.resources.get(api_version="drover.dev/v1", kind="Timer")
    assert timers.namespaced and timers.name == "timers"
    applied = timers.server_side_apply(body=timer("dyn"), name="dyn", namespace=NAMESPACE, field_manager="py")
    assert [entry["manager"] for entry in applied.to_dict()["metadata"]["managedFields"]] == ["py"]
    try:
        timers.server_side_apply(body=timer("dyn", every="2h"), name="dyn", namespace=NAMESPACE, field_manager="other")
        raise AssertionError("two managers want another value, and there is no conflict")
    except dynamic.exceptions.ConflictError as error:
        assert "py" in str(error.body)
    body = timer("dyn", every="2h")
    forced = timers.server_side_apply(
        body=body, name="dyn", namespace=NAMESPACE, field_manager="other", force_conflicts=True
    )
    assert forced.spec.every == "2h"
    assert [item.metadata.name for item in timers.get(namespace=NAMESPACE).items] == ["dyn"]
    timers.delete(name="dyn", namespace=NAMESPACE)


def a_watch_shows_what_is_and_then_each_change(api):
    core = client.CoreV1Api(api)
    new = lambda name: client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"watched": "yes"}))
    core.create_namespaced_config_map(NAMESPACE, new("first"))

    def act():
        core.create_namespaced_config_map(NAMESPACE, new("second"))
        core.patch_namespaced_config_map("second", NAMESPACE, {"data": {"k": "v"}})
        core.delete_namespaced_config_map("second", NAMESPACE)
        core.delete_namespaced_config_map("first", NAMESPACE)

    seen, watcher, acting = [], watch.Watch(), None
    for event in watcher.stream(
        core.list_namespaced_config_map, NAMESPACE, label_selector="watched=yes", timeout_seconds=60
    ):
        seen.append((event["type"], event["object"].metadata.name))
        if acting is None:
            acting = threading.Thread(target=act)
            acting.start()
        if seen[-1] == ("DELETED", "first"):
            watcher.stop()
    acting.join()
    assert seen == [
        ("ADDED", "first"),
        ("ADDED", "second"),
        ("MODIFIED", "second"),
        ("DELETED", "second"),
        ("DELETED", "first"),
    ], seen


def a_watch_of_a_revision_that_is_long_gone_or_still_to_come_ends_with_its_reason(api):
    core = client.CoreV1Api(api)
    stream = watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version="999999999", timeout_seconds=5)
    try:
        for _ in stream:
            raise AssertionError("an event of a revision that is still to come")
    except ApiException as error:
        assert error.status in (410, 504), error.status


def pages_are_one_list(api):
    core = client.CoreV1Api(api)
    for number in range(5):
        meta = client.V1ObjectMeta(name=f"page-{number}", labels={"paged": "yes"})
        core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=meta))
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, limit=2, _continue=token)
        names += [item.metadata.name for item in page.items if item.metadata.labels]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{number}" for number in range(5)], names
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="paged=yes")
    assert core.list_namespaced_config_map(NAMESPACE, label_selector="paged=yes").items == []


def a_lease_and_events_are_kept(api):
    leases = client.CoordinationV1Api(api)
    import datetime

    now = datetime.datetime.now(datetime.timezone.utc)
    spec = client.V1LeaseSpec(holder_identity="py", lease_duration_seconds=15, acquire_time=now, renew_time=now)
    meta = client.V1ObjectMeta(name="leader")
    lease = leases.create_namespaced_lease(NAMESPACE, client.V1Lease(metadata=meta, spec=spec))
    lease.spec.renew_time = datetime.datetime.now(datetime.timezone.utc)
    assert leases.replace_namespaced_lease("leader", NAMESPACE, lease).spec.holder_identity == "py"
    leases.delete_namespaced_lease("leader", NAMESPACE)
    events = client.EventsV1Api(api)
    regarding = client.V1ObjectReference(api_version="v1", kind="ConfigMap", name="py", namespace=NAMESPACE)
    body = client.EventsV1Event(
        metadata=client.V1ObjectMeta(generate_name="py-"),
        event_time=now,
        action="Looked",
        reason="Looked",
        note="seen from Python",
        type="Normal",
        regarding=regarding,
        reporting_controller="drover.dev/py",
        reporting_instance="one",
    )
    made = events.create_namespaced_event(NAMESPACE, body)
    core = client.CoreV1Api(api).list_namespaced_event(NAMESPACE, field_selector="involvedObject.name=py")
    assert [(item.metadata.name, item.message) for item in core.items] == [(made.metadata.name, "seen from Python")]


def a_service_is_scaled(api):
    custom = client.CustomObjectsApi(api)
    args = (GROUP, VERSION, NAMESPACE, "services")
    spec = {"replicas": 1, "template": {"process": {"command": ["/bin/sleep", "60"]}}}
    body = {"apiVersion": "drover.dev/v1", "kind": "Service", "metadata": {"name": "py"}, "spec": spec}
    custom.create_namespaced_custom_object(*args, body)
    custom.patch_namespaced_custom_object_scale(*args, "py", {"spec": {"replicas": 3}})
    assert custom.get_namespaced_custom_object_scale(*args, "py")["spec"]["replicas"] == 3
    assert custom.get_namespaced_custom_object(*args, "py")["spec"]["replicas"] == 3
    custom.delete_namespaced_custom_object(*args, "py")


def who_asks_and_what_they_may_is_told(api):
    review = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(
            resource_attributes=client.V1ResourceAttributes(verb="create", group=GROUP, resource="timers", namespace=NAMESPACE)
        )
    )
    assert client.AuthorizationV1Api(api).create_self_subject_access_review(review).status.allowed
    assert client.VersionApi(api).get_code().major == "1"


def main():
    config.load_kube_config()
    api = client.ApiClient()
    laws = [
        a_typed_core_object_is_made_read_changed_and_deleted,
        a_secret_keeps_its_bytes,
        a_kind_of_ours_is_a_custom_object,
        the_dynamic_client_finds_kinds_and_applies_on_the_server,
        a_watch_shows_what_is_and_then_each_change,
        a_watch_of_a_revision_that_is_long_gone_or_still_to_come_ends_with_its_reason,
        pages_are_one_list,
        a_lease_and_events_are_kept,
        a_service_is_scaled,
        who_asks_and_what_they_may_is_told,
    ]
    for law in laws:
        law(api)
        print(law.__name__, flush=True)


if __name__ == "__main__":
    main()
