"""nginx's configuration for the package cache, as text.

Why each word is there:
- Files whose name never gets other contents (packages, by-hash) are kept for long, and fetched in
  slices: whoever waits for somebody else's fetch gets what is there, before apt's patience (30 s
  without a byte) ends, and a Range costs a slice, not the file. Their ETag is dropped: hosts of one
  name give different ones, and nginx would never put such slices together.
- Everything else (InRelease, Packages, repomd.xml) is asked for again each time, by If-None-Match
  or If-Modified-Since; while one asks, and while the mirror is away, the others get what is there.
- Names are not nginx's to resolve: its resolver is no use without DNS, and then not even what is
  kept would be served. Whoever writes this file gives addresses.
- A mirror's own words on caching, cookies and internal redirections (X-Accel-Redirect) are ignored.
- What comes as a page (text/html) is not kept: a network that wants a login first answers with one
  for every name, and for a package that would be the answer for ever.
- One client has a share: a machine that asks for everything at once leaves workers for the others.
  Many ranges of a file, which cost more than it (CVE-2011-3192), are answered with all of it.
- A redirection is followed to hosts that were named, and not told to the client, who may have no
  way there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ironwake.errors import InputError
from ironwake.packagecache import FILES, IMPORTED, PARTS, PREFIX, Authority, Cache, Source

SLICE: Final = 2 << 20
LOG: Final = "ironwake"
_SPARE = 128  # descriptors of a worker that are for no connection
_RANGES = 8  # of one request
_NOWHERE = "unix:/nonexistent/no-address"  # asked in vain: what is kept is served
# By name alone: nothing else is known of a file before it is fetched.
_NEVER_CHANGES = (
    r"/by-hash/[A-Za-z0-9]+/[0-9a-f]{32,128}$"
    r"|/repodata/[0-9a-f]{32,128}-[^/]+$"
    r"|\.(?:u?deb|ddeb|dsc|rpm|drpm|apk|diff\.gz|debian\.tar\.[a-z0-9]+|orig\.tar\.[a-z0-9]+)$"
    r"|/pool/.*\.tar\.(?:gz|xz|bz2|zst)$"
)
_REDIRECTS = "301 302 303 307 308"
_IGNORED = (
    "Cache-Control Expires Set-Cookie Vary X-Accel-Buffering X-Accel-Charset X-Accel-Expires"
    " X-Accel-Limit-Rate X-Accel-Redirect"
)


def render(cache: Cache) -> str:
    """The whole file.

    :raises InputError: a path that cannot be quoted
    """
    return "\n".join((*_main(cache), "http {", *_indented(_http(cache)), "}", ""))


def _main(cache: Cache) -> Iterator[str]:
    yield "# Written by Ironwake at each start: changes are lost."
    yield "daemon off;"
    yield f"pid {_quoted(f'{cache.folder}/nginx.pid')};"
    yield "error_log stderr error;"
    if cache.user:
        yield f"user {_word(cache.user)};"
    yield "worker_processes auto;"
    yield "worker_shutdown_timeout 600s;"
    yield f"worker_rlimit_nofile {cache.files};"
    # A connection, a client's or a mirror's, has a file beside it at most.
    yield f"events {{ worker_connections {max((cache.files - _SPARE) // 2, 32)}; }}"


def _http(cache: Cache) -> Iterator[str]:
    yield from (
        f"log_format {LOG} '$request_length $source $upstream_cache_status $status"
        " $body_bytes_sent $upstream_response_length';",
        f"access_log /dev/stdout {LOG};",
        "log_subrequest on;",
        "server_tokens off;",
        "sendfile on;",
        "tcp_nopush on;",
        "default_type application/octet-stream;",
        "client_max_body_size 1k;",
        "client_header_timeout 30s;",
        "send_timeout 60s;",
        "keepalive_timeout 60s;",
        "reset_timedout_connection on;",
        f"max_ranges {_RANGES};",
        "limit_conn_zone $binary_remote_addr zone=clients:4m;",
        f"limit_conn clients {cache.each};",
        "limit_conn_status 429;",
    )
    for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        yield f"{name}_temp_path {_quoted(f'{cache.folder}/{PARTS}')};"
    yield from _keeping(cache)
    yield from _asking(cache)
    names = {one: f"mirror{number}" for number, one in enumerate(cache.authorities)}
    for one, name in names.items():
        yield from _upstream(cache, one, name)
    yield from _pages()
    yield from _onward(names)
    yield "server {"
    yield from _indented(_server(cache, names))
    yield "}"


def _keeping(cache: Cache) -> Iterator[str]:
    # A key takes 128 bytes, and a package has half a megabyte in the middle.
    zone = min(max(cache.size // 500_000 * 128 >> 20, 4), 256)
    yield (
        f"proxy_cache_path {_quoted(f'{cache.folder}/{FILES}')} levels=1:2 use_temp_path=off"
        f" keys_zone=packages:{zone}m max_size={cache.size} inactive=3650d;"
    )
    yield from (
        "proxy_cache packages;",
        "proxy_cache_methods GET;",
        "proxy_cache_lock on;",
        # Longer than anybody waits: more than one fetch helps nobody on a slow line.
        "proxy_cache_lock_timeout 1h;",
        "proxy_cache_lock_age 10m;",
        "proxy_cache_revalidate on;",
        "proxy_cache_use_stale error timeout invalid_header updating"
        " http_403 http_429 http_500 http_502 http_503 http_504;",
        f"proxy_ignore_headers {_IGNORED};",
        "proxy_hide_header Set-Cookie;",
    )


def _asking(cache: Cache) -> Iterator[str]:
    yield from (
        "proxy_http_version 1.1;",
        "proxy_pass_request_headers off;",
        "proxy_pass_request_body off;",
        "proxy_method GET;",
        "proxy_connect_timeout 5s;",
        "proxy_read_timeout 60s;",
        "proxy_max_temp_file_size 0;",
        "proxy_next_upstream error timeout invalid_header http_502 http_503 http_504;",
        "proxy_next_upstream_tries 3;",
        "proxy_intercept_errors on;",
        "recursive_error_pages on;",
        "proxy_ssl_server_name on;",
        "proxy_ssl_verify on;",
        "proxy_ssl_verify_depth 5;",
        f"proxy_ssl_trusted_certificate {_quoted(cache.certificates)};",
    )


def _upstream(cache: Cache, one: Authority, name: str) -> Iterator[str]:
    addresses = (cache.addresses or {}).get(str(one), ())
    yield f"upstream {name} {{  # {one}"
    for address in addresses:
        host = f"[{address}]" if ":" in address else address
        yield f"    server {host}:{one.port};"
    if not addresses:
        yield f"    server {_NOWHERE};"
    yield "    keepalive 8;"
    yield "}"


def _pages() -> Iterator[str]:
    yield "map $upstream_http_content_type $is_page {"
    yield "    volatile;"
    yield '    default "";'
    yield '    "~*^text/html" 1;'
    yield "}"
    yield "proxy_no_cache $is_page;"


def _onward(names: dict[Authority, str]) -> Iterator[str]:
    """Where a redirection leads: one of ours, or "" for what nobody has named."""
    yield "map $upstream_http_location $onward {"
    yield "    volatile;"
    yield '    default "";'
    yield '    "~^/(?!/)" here;'
    for one, name in names.items():
        host = one.host.replace(".", r"\.")
        port = f":{one.port}"
        optional = "?" if port not in one.header else ""
        yield f'    "~*^{one.scheme}://{host}({port}){optional}/" {name};'
    yield "}"
    yield "map $upstream_http_location $onward_path {"
    yield "    volatile;"
    yield '    default "";'
    yield '    "~^(?:[a-zA-Z]+://[^/]+)?(?<onward_rest>/[!-~]*)$" $onward_rest;'
    yield "}"
    yield "map $onward $onward_to {"
    yield "    volatile;"
    yield "    default $onward;"
    yield "    here $to;"
    yield "}"
    for variable, value in (("scheme", "scheme"), ("header", "header"), ("name", "host")):
        yield f"map $to $to_{variable} {{"
        yield "    volatile;"
        for one, name in names.items():
            yield f"    {name} {getattr(one, value)};"
        yield "}"


def _server(cache: Cache, names: dict[Authority, str]) -> Iterator[str]:
    for address in cache.listen:
        host = f"[{address}]" if ":" in address else address
        yield f"listen {host}:{cache.port};"
    yield "set $source -;"
    yield 'set $to "";'
    yield 'set $path "";'
    yield f"root {_quoted(f'{cache.folder}/{IMPORTED}')};"
    yield "disable_symlinks on from=$document_root;"  # the folder itself may stand behind one
    yield "if ($request_method !~ ^(GET|HEAD)$) { return 405; }"
    for network in cache.networks:
        yield f"allow {_word(network)};"
    yield "deny all;"
    known = ", ".join(source.name for source in cache.sources) or "none"
    yield "location = /healthz { access_log off; return 200 ok; }"
    yield f'location / {{ return 404 "there is no such mirror here; there are: {known}\\n"; }}'
    for source in cache.sources:
        yield from _source(source, names)


def _source(source: Source, names: dict[Authority, str]) -> Iterator[str]:
    name = source.name
    files, indices = (f"@{name}/files", f"@{name}/indices") if source.url else ("=404", "=404")
    yield f"location /{PREFIX}/{name}/ {{"
    yield f"    set $source {name};"
    yield f"    try_files $uri {indices};"
    yield f'    location ~ "{_NEVER_CHANGES}" {{'
    yield f"        set $source {name};"
    yield f"        try_files $uri {files};"
    yield "    }"
    yield "}"
    if source.url:
        for place, long in ((files, True), (indices, False)):
            yield from _mirror(source, names[source.authority], place, long)


def _mirror(source: Source, upstream: str, place: str, long: bool) -> Iterator[str]:
    """Two locations: the mirror itself, and where it sends us on to."""
    prefix = f"/{PREFIX}/{source.name}".replace(".", r"\.")
    again = _indented(_one_kind(source, place, long))
    yield f"location {place} {{"
    yield f"    set $to {upstream};"
    yield f"    rewrite ^{prefix}/(.*)$ {source.folder}/$1? break;"  # the last of its kind
    yield from again
    yield f"    proxy_pass {source.authority.scheme}://$to;"
    yield "}"
    yield f"location {place}/onward {{"
    yield "    set $path $onward_path;"
    yield "    set $to $onward_to;"
    yield '    if ($to = "") { return 502; }'
    yield from again
    yield "    proxy_pass $to_scheme://$to$path;"
    yield "}"


def _one_kind(source: Source, place: str, long: bool) -> Iterator[str]:
    key = f'"{source.name} {source.authority}$uri'
    yield f"error_page {_REDIRECTS} = {place}/onward;"
    yield "proxy_ssl_name $to_name;"
    yield "proxy_set_header Host $to_header;"
    yield 'proxy_set_header Connection "";'
    yield "proxy_set_header User-Agent Ironwake;"
    if long:
        yield f"slice {SLICE};"
        yield f'proxy_cache_key {key} $slice_range";'
        yield "proxy_set_header Range $slice_range;"
        yield "proxy_hide_header Set-Cookie;"
        yield "proxy_hide_header ETag;"
        yield "proxy_cache_valid 200 206 3650d;"
    else:
        yield f'proxy_cache_key {key}";'
        yield "proxy_cache_valid 200 1s;"


def _indented(lines: Iterator[str]) -> tuple[str, ...]:
    return tuple(f"    {line}" for line in lines)


def _quoted(path: str) -> str:
    """A path as one word; nginx knows no way to write a $ there."""
    if not path.isprintable() or set(path) & set('"\\${}'):
        raise InputError(f"{path!r:.200} cannot stand in nginx's configuration", "rename it")
    return f'"{path}"'


def _word(text: str) -> str:
    if not text or not all(c.isalnum() or c in "._/:-" for c in text):
        raise InputError(f"{text!r:.60} cannot stand in nginx's configuration")
    return text
