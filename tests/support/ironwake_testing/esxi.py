"""What ESXi's installer has in its boot.cfg: as long as the real one, with names as it has them.

The kernel and its first modules stand first; then each driver and each part of the system is a
module of its own, with a name of eight characters and a number for its extension.
"""

from __future__ import annotations

from typing import Final

_FIRST: Final = (
    *("jumpstrt.gz", "useropts.gz", "features.gz", "k.b00"),
    *("uc_intel.b00", "uc_amd.b00", "uc_hygon.b00", "procfs.b00"),
    *("vmx.v00", "vim.v00", "tpm.v00", "sb.v00", "s.v00"),
)
_PARTS: Final = """
atlantic bcm_mpi3 bnxtnet bnxtroce brcmfcoe cndi_igc dwi2c elxiscsi elxnet i40en iavmd icen igbn
intelgpi ionic_cl ionic_en irdman iser ixgben lpfc lpnic lsi_mr3 lsi_msgp mtip32xx ne1000 nenic
nfnic nhpsa nipmi nmlx5_cc nmlx5_co nmlx5_rd ntg3 nvme_pci nvmerdma nvmetcp nvmxnet3 penedac pvscsi
qcnic qedentv qedrntv qfle3 qfle3f qfle3i qflge rdmahl rste sfvmk smartpqi vmkata vmkfcoe vmkusb
vmw_ahci bmcal clusters crx drivervm elx_esx_ esx_base esx_dvfi esx_ui esxupdt tpmesxup weaselin
esxio_co loadesx lsuv2_hp lsuv2_in lsuv2_ls lsuv2_nv lsuv2_oe lsuv2_sm native_m qlnative trx vdfs
vds_vsip vmware_e vsan hbrsrv vsanheal vsanmgmt esxioupt imgdb basemisc xorg resvibs gc vmwaredt
auditd chkconf envoy etcd health infravis kmx loadctl netmon ntpsvc ptp quickfix rhttpprx sfcb
snmpd sshd syslogd tools trusted usbarb vmtoolsd vpxa vsantrac wsman zdump
"""
MODULES: Final = (*_FIRST, *(f"{name}.v00" for name in _PARTS.split()), "imgpayld.tgz")
BOOT_CFG: Final = (
    "bootstate=0\ntitle=Loading ESXi installer\ntimeout=5\nprefix=\nkernel=/b.b00\n"
    "kernelopt=runweasel cdromBoot\n"
    f"modules={' --- '.join(f'/{name}' for name in MODULES)}\n"
    "build=8.0.3-0.0.24022510\nupdated=0\n"
)
