"""What Windows runs at its first logon: the rest of the set-up, and the report of its health.

An answer file has commands of 1024 characters at most, so the program goes into a file piece by
piece, in base64; its data stand in it as JSON in base64, so nothing needs PowerShell's quoting.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, Final

from ironwake.errors import InputError

_FILE: Final = r"C:\Windows\Temp\ironwake.txt"
_PIECE: Final = 900  # characters of base64 in one command
_RUN: Final = (
    "powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -Command "
    '"& ([scriptblock]::Create([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('
    f'(Get-Content -Raw {_FILE})))))"'
)


def commands(data: dict[str, Any]) -> list[str]:
    """Command lines, to be run in this order."""
    text = base64.b64encode(program(data).encode("ascii")).decode()
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    # The redirection first: a digit before `>>` would be a handle's number.
    return [*(f"cmd.exe /c >>{_FILE} echo {piece}" for piece in pieces), _RUN]


def parse(lines: Sequence[str]) -> dict[str, Any]:
    """What `commands` were made of; InputError where they are none of ours."""
    try:
        *pieces, last = lines
        words = "".join(piece.rpartition(" echo ")[2] for piece in pieces)
        text = base64.b64decode(words, validate=True).decode("ascii")
        told = text.partition("'")[2].partition("'")[0]
        data = json.loads(base64.b64decode(told, validate=True))
    except ValueError:
        data = None
    if not isinstance(data, dict) or last != _RUN or text != program(data):
        raise InputError("these are no commands of ours", "leave them as they are")
    return data


def program(data: dict[str, Any]) -> str:
    """The PowerShell text, with its data: keys as `_PROGRAM` reads them."""
    told = base64.b64encode(json.dumps(data).encode()).decode()
    return f"$told = '{told}'\n{_PROGRAM}"


# Windows PowerShell 5.1, as an administrator.
_PROGRAM = rf"""$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$bytes = [Convert]::FromBase64String($told)
$order = ConvertFrom-Json ([Text.Encoding]::UTF8.GetString($bytes))

function Send($url, $body) {{
    foreach ($try in 1..120) {{
        try {{
            Invoke-WebRequest -UseBasicParsing -Method Post -Uri $url -Body $body `
                -ContentType 'application/json' -TimeoutSec 30 | Out-Null
            return
        }} catch {{
            $code = 0
            if ($_.Exception.Response) {{ $code = [int]$_.Exception.Response.StatusCode }}
            if ($code -ge 400 -and $code -lt 500) {{ return }}
            Start-Sleep -Seconds 5
        }}
    }}
}}
function Tell($stage, $id, $message) {{
    $words = '?stage=' + $stage + '&step=first+logon&id=' + $id
    if ($message) {{ $words += '&message=' + [Uri]::EscapeDataString($message) }}
    Send ($order.callbacks + $words) ''
}}

try {{
    Tell 'installing' 'logon' ''
    $names = 'HKLM:\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters'
    foreach ($name in 'Domain', 'NV Domain') {{
        Set-ItemProperty -Path $names -Name $name -Value $order.domain
    }}
    if ($order.ntp) {{
        Set-Service w32time -StartupType Automatic
        Start-Service w32time
        $peers = "/manualpeerlist:$($order.ntp)"
        w32tm.exe /config $peers /syncfromflags:manual /update | Out-Null
    }}
    if ($order.keys) {{
        # For OpenSSH's server, where there is one: administrators share one file of keys.
        $file = "$env:ProgramData\ssh\administrators_authorized_keys"
        New-Item -ItemType Directory -Force (Split-Path $file) | Out-Null
        [IO.File]::WriteAllLines($file, [string[]]$order.keys)
        icacls.exe $file /inheritance:r /grant '*S-1-5-32-544:F' '*S-1-5-18:F' | Out-Null
        if (Get-Service sshd -ErrorAction SilentlyContinue) {{
            Set-Service sshd -StartupType Automatic
            Start-Service sshd
        }}
    }}
    # The partition that the image was fetched into.
    $volume = Get-Volume | Where-Object FileSystemLabel -eq 'IRONWAKE'
    if ($volume) {{
        $volume | Get-Partition | Remove-Partition -Confirm:$false
        $most = (Get-PartitionSupportedSize -DriveLetter C).SizeMax
        Resize-Partition -DriveLetter C -Size $most
    }}
    if ($order.post) {{
        $file = "$env:SystemRoot\Temp\ironwake-post.ps1"
        [IO.File]::WriteAllText($file, $order.post, (New-Object Text.UTF8Encoding $true))
        powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File $file
        $code = $LASTEXITCODE
        Remove-Item $file
        if ($code) {{ throw "the script post ended with code $code" }}
    }}
    if ($order.disable) {{
        Get-LocalUser | Where-Object {{ $_.SID -like 'S-1-5-21-*-500' }} | Disable-LocalUser
    }}
    # They have passwords in them, in base64.
    foreach ($name in 'Panther\unattend.xml', 'Panther\Unattend\unattend.xml') {{
        Remove-Item "$env:SystemRoot\$name" -ErrorAction SilentlyContinue
    }}
    Remove-Item {_FILE} -ErrorAction SilentlyContinue
    Tell 'installed' 'late' ''
    $system = Get-CimInstance Win32_OperatingSystem
    $words = @{{
        hostname = $env:COMPUTERNAME.ToLower()
        system = $system.Caption
        kernel = $system.Version
    }}
    Send $order.health (ConvertTo-Json $words)
}} catch {{
    Tell 'failed' 'late' ([string]$_).Substring(0, [Math]::Min(400, ([string]$_).Length))
}}
shutdown.exe /l
"""
