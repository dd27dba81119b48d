from __future__ import annotations

import pytest
from urllib3.exceptions import MaxRetryError, ProtocolError, SSLError
from urllib3.util import Retry

from ermpoll.catalog.connection import Bundle, ReadsOnly, bundle


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("error", [SSLError("cut"), OSError("no route")])
def test_whatever_is_no_read_is_sent_once(method, error):
    retry = ReadsOnly.like(Retry(5))

    with pytest.raises(MaxRetryError):
        retry.increment(method, "/x", error=error)


def test_a_write_whose_answer_breaks_off_is_not_sent_again():
    with pytest.raises(ProtocolError):
        ReadsOnly.like(Retry(5)).increment("PUT", "/x", error=ProtocolError("cut"))


def test_a_read_is_repeated():
    assert ReadsOnly.like(Retry(5)).increment("GET", "/x", error=OSError()).total == 4


def test_what_a_caller_gave_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("CURL_CA_BUNDLE", "/theirs")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)

    assert bundle("/ours") == Bundle("/ours", "ca=")
    assert bundle(None) == Bundle("/theirs", "$CURL_CA_BUNDLE")


def test_a_file_without_certificates_says_so(tmp_path):
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")

    assert Bundle("").fault == ""
    assert Bundle(str(tmp_path / "none")).fault == "are not there"
    assert "can't be read as PEM" in Bundle(str(broken)).fault
    assert Bundle(str(tmp_path)).fault == ""
