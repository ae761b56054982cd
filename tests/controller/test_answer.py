"""What a machine is told: the dry run, and a person's own template."""

from __future__ import annotations

import pytest

from ironwake import wire
from ironwake.report import Grant
from tests.controller.appliance import MAC, Appliance

HASH = "$6$canary$" + "x" * 20
PROFILE = f"""\
release: debian-12
method: script
parameters:
  keyboard: de
  users: [{{name: admin, password_hash: "{HASH}"}}]
"""


def test_each_parameter_is_shown_with_its_origin(appliance: Appliance) -> None:
    """And no secret: of a deployment as of a profile that is only thought of."""
    (appliance.settings.parameters).mkdir()
    (appliance.settings.parameters / "site.yaml").write_text("parameters: {locale: de_DE.UTF-8}\n")
    appliance.profile("inst", PROFILE)
    appliance.enrol()
    asked = appliance.good("GET", f"/v1/plan/answer?mac={MAC}&profile=inst")
    appliance.deploy(profile="inst")
    shown = appliance.good("GET", f"/v1/plan/answer?mac={MAC}")
    assert asked == shown
    told = {one["name"]: one for one in shown["parameters"]}
    assert (told["locale"]["value"], told["locale"]["origin"]) == ("de_DE.UTF-8", "site")
    assert (told["keyboard"]["value"], told["keyboard"]["origin"]) == ("de", "profile inst")
    assert told["timezone"]["origin"] == ""
    assert "debian-installer/locale string de_DE.UTF-8" in shown["files"]["preseed.cfg"]
    token, health = appliance.tokens()
    assert not [word for word in ("canary", token, health) if word in str(shown)]


def test_a_template_takes_the_place_of_the_answer_file(appliance: Appliance) -> None:
    """Rendered for this machine, with its own tokens, when it claims."""
    template = "name={{ hostname }} zone={{ parameters.timezone|shell }} url={{ urls.callbacks }}\n"
    (appliance.settings.profiles / "own.cfg").write_text(template)
    appliance.profile("web", PROFILE + "  template: own.cfg\n")
    appliance.enrol()
    appliance.deploy()
    (appliance.settings.profiles / "own.cfg").write_text("changed since")
    token, _ = appliance.tokens()
    plan = appliance.good("GET", f"/v1/plan/answer?mac={MAC}")
    assert "url=http://10.77.0.2/deployments/SECRET/callbacks" in plan["files"]["preseed.cfg"]
    grant = wire.decode(Grant, appliance.claim(token).content)
    wanted = f"name=node1 zone=Etc/UTC url=http://10.77.0.2/deployments/{token}/callbacks\n"
    assert grant.text == grant.files["preseed.cfg"] == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [("{{ nothing }}", "own.cfg: the template is wrong: line 1"), (None, "own.cfg cannot be read")],
)
def test_a_wrong_template_arms_nobody(appliance: Appliance, text: str | None, says: str) -> None:
    """It is tried before anything is armed."""
    if text is not None:
        (appliance.settings.profiles / "own.cfg").write_text(text)
    appliance.profile("web", PROFILE + "  template: own.cfg\n")
    appliance.enrol()
    reply = appliance.call("POST", "/v1/machines/node1/deploy", {"profile": "web"})
    assert reply.status_code == 422
    assert says in reply.json()["detail"]


def test_what_is_made_of_its_fragment_is_not_shown_and_that_is_said(appliance: Appliance) -> None:
    """Talos' configuration is its fragment, secrets and all: the reason is no mistake of theirs."""
    cluster = "machine: {type: worker, token: canary, ca: {crt: canary}}, cluster: {id: canary}"
    fragments = f"parameters:\n  fragments: {{talos: {{{cluster}}}}}\n"
    profile = f"release: talos-1.11\nmethod: script\ndisk: {{match: WD-1}}\n{fragments}"
    appliance.profile("talos", profile)
    appliance.enrol()
    reply = appliance.call("GET", f"/v1/plan/answer?mac={MAC}&profile=talos")
    assert reply.status_code == 409, reply.text
    assert "fragments.talos" in reply.json()["detail"]
    assert "not shown" in reply.json()["detail"]
    assert "canary" not in reply.text
