"""`attribution report`: documents on disk, keys, and the check of a signature by exit code."""

import json
import subprocess
import sys

import c2pa
import pypdf
import pytest

from attribution.report.credentials import LABEL
from attribution.report.document import Report
from attribution.report.html import render_html
from attribution.report.pdf import render_pdf
from tests.support.credentials import certified, signed

pytestmark = pytest.mark.usefixtures("small_encoder_in_settings")


@pytest.fixture(scope="module")
def made(attribution, held, small_encoder, tmp_path_factory):
    """A folder with a key and one signed report in its three forms."""
    folder = tmp_path_factory.mktemp("reports")
    assert attribution("report", "new-key", folder / "key.pem").code == 0
    done = attribution(
        "report", held.parent / "000.jpg", "--data", held, "--signing-key", folder / "key.pem",
        "-o", folder / "a.json", "-o", folder / "a.html", "-o", folder / "a.PDF", "-k", "3",
        "--encoder", small_encoder,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "000.jpg: attributed. p = " in done.out
    return folder


def test_the_forms_are_of_one_report(made):
    data = (made / "a.json").read_bytes()
    report = Report.model_validate_json(data)
    assert (report.decision, len(report.sources)) == ("attributed", 3)
    assert render_html(report) == (made / "a.html").read_bytes()
    assert render_pdf(report) == (made / "a.PDF").read_bytes()
    with pypdf.PdfReader(made / "a.PDF") as document:
        assert "plain" in document.pages[0].extract_text()


def test_verify_says_by_exit_code_who_signed_what(attribution, made, tmp_path):
    def verdict(path, *arguments):
        done = attribution("report", "verify", path, *arguments, "--json")
        return done.code, done.document["verdict"]

    report, key = made / "a.json", made / "key.pem.pub"
    assert verdict(report, "--public-key", key) == (0, "valid")
    assert verdict(report) == (7, "intact")
    attribution("report", "new-key", tmp_path / "other")
    assert verdict(report, "--public-key", tmp_path / "other.pub") == (4, "other-key")
    data = report.read_bytes()
    (tmp_path / "altered.json").write_bytes(data.replace(b'"rank":2', b'"rank":9'))
    assert verdict(tmp_path / "altered.json", "--public-key", key) == (3, "altered")
    members = json.loads(data)
    (tmp_path / "pretty.json").write_text(json.dumps(members, indent=1))
    assert verdict(tmp_path / "pretty.json", "--public-key", key) == (6, "reformatted")
    del members["signature"]
    (tmp_path / "unsigned.json").write_text(json.dumps(members))
    assert verdict(tmp_path / "unsigned.json", "--public-key", key) == (5, "unsigned")


def test_the_operator_s_own_key_is_the_default(attribution, made, monkeypatch):
    monkeypatch.setenv("ATTRIBUTION_SIGNING_KEY", str(made / "key.pem"))
    done = attribution("report", "verify", made / "a.json")
    assert done.code == 0
    assert "a.json: valid (key " in done.out
    assert "not a byte has changed since" in done.out


@pytest.mark.parametrize(
    ("name", "advice"),
    [("a.PDF", "the JSON attached to it"), ("a.html", "the JSON that it links to")],
)
def test_other_forms_say_where_the_signed_one_is(attribution, made, name, advice):
    done = attribution("report", "verify", made / name)
    assert done.code == 1
    assert advice in done.err
    assert "Traceback" not in done.err


def test_mistakes_are_one_line_before_any_work(attribution, made, held, tmp_path):
    image = held.parent / "000.jpg"
    done = attribution("report", image, "--out", tmp_path / "a.docx", "--data", held)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert ".json, .html, .pdf" in done.err
    done = attribution("report", image, "--out", tmp_path / "gone" / "a.pdf", "--data", held)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "there is no folder" in done.err
    done = attribution("report", image, "-o", tmp_path / "a.json", "--signing-key", tmp_path / "no")
    assert (done.code, done.err.count("\n")) == (1, 1)
    done = attribution("report", "new-key", made / "key.pem")
    assert done.code == 1
    assert "never overwritten" in done.err
    done = attribution("report", "verify", made / "a.json", "--public-key", "nothing")
    assert done.code == 1
    assert "neither a file nor base64" in done.err
    assert not list(tmp_path.iterdir())


def test_a_signature_is_checked_without_torch(made):
    script = (
        "import sys; sys.argv = ['attribution', 'report', 'verify', sys.argv[1]]\n"
        "from app.cli.main import main\n"
        "try: main()\n"
        "finally: assert not {'torch', 'faiss', 'timm', 'fpdf'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(made / "a.json")], check=False, capture_output=True
    )
    assert done.returncode == 7, done.stderr


def test_a_signed_copy_of_the_image_holds_the_report(attribution, held, tmp_path):
    chain, key = certified().write(tmp_path)
    image, copy, out = (tmp_path / name for name in ("query.jpg", "copy.jpg", "report.json"))
    image.write_bytes(signed((held.parent / "000.jpg").read_bytes()))
    keys = ("--c2pa-certificates", chain, "--c2pa-key", key)
    asked = ("report", image, "--data", held, "--c2pa", copy)
    done = attribution(*asked, "-o", out, *keys)
    assert done.code == 0, done.err
    assert f"{copy}\n" in done.out
    with c2pa.Reader(copy) as reader:
        assert reader.get_validation_state() == "Valid"
        manifest = reader.get_active_manifest()
    [assertion] = [each for each in manifest["assertions"] if each["label"] == LABEL]
    assert assertion["data"]["json"].encode() == out.read_bytes()
    assert assertion["data"]["decision"] == "attributed"
    [before] = manifest["ingredients"]
    assert before["relationship"] == "parentOf"
    assert before["active_manifest"], "what the image said before is kept"

    copy.unlink()
    key.chmod(0o644)
    assert "open to other users" in attribution(*asked, *keys).err
    assert "give --c2pa-key" in attribution(*asked).err
    assert "name a file to write" in attribution("report", image, "--data", held).err
    key.chmod(0o600)
    chain.write_bytes(chain.read_bytes().partition(b"-----END")[0])
    assert "no signed copy could be made" in attribution(*asked, *keys).err
    assert not copy.exists()
