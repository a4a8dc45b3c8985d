package filter

// builtInServices are services that people name in filters, by their IANA
// names and the names in common use, as services(5) has them. A container often
// has no such file. The protocols are those that a name is in use for.
const builtInServices = `
tcpmux 1/tcp
echo 7/tcp,udp
discard 9/tcp,udp sink null
systat 11/tcp users
daytime 13/tcp,udp
netstat 15/tcp
qotd 17/tcp quote
chargen 19/tcp,udp ttytst source
ftp-data 20/tcp
ftp 21/tcp
fsp 21/udp fspd
ssh 22/tcp
telnet 23/tcp
smtp 25/tcp mail
time 37/tcp,udp timserver
whois 43/tcp nicname
tacacs 49/tcp,udp
domain 53/tcp,udp
bootps 67/udp
bootpc 68/udp
tftp 69/udp
gopher 70/tcp
finger 79/tcp
http 80/tcp www
kerberos 88/tcp,udp kerberos5 krb5 kerberos-sec
hostname 101/tcp hostnames
iso-tsap 102/tcp tsap
pop3 110/tcp pop-3
sunrpc 111/tcp,udp portmapper
auth 113/tcp authentication tap ident
nntp 119/tcp readnews untp
ntp 123/udp
epmap 135/tcp loc-srv
netbios-ns 137/udp
netbios-dgm 138/udp
netbios-ssn 139/tcp
imap2 143/tcp imap
snmp 161/tcp,udp
snmp-trap 162/tcp,udp snmptrap
mailq 174/tcp
xdmcp 177/udp
bgp 179/tcp
ipx 213/udp
ptp-event 319/udp
ptp-general 320/udp
ldap 389/tcp,udp
svrloc 427/tcp,udp
https 443/tcp,udp
snpp 444/tcp
microsoft-ds 445/tcp
kpasswd 464/tcp,udp
submissions 465/tcp ssmtp smtps urd
isakmp 500/udp
mbap 502/tcp modbus
exec 512/tcp
biff 512/udp comsat
login 513/tcp
who 513/udp whod
shell 514/tcp cmd syslog
syslog 514/udp
printer 515/tcp spooler
talk 517/udp
ntalk 518/udp
route 520/udp router routed
uucp 540/tcp uucpd
klogin 543/tcp
kshell 544/tcp krcmd
dhcpv6-client 546/udp
dhcpv6-server 547/udp
afpovertcp 548/tcp
rtsp 554/tcp,udp
nntps 563/tcp snntp
submission 587/tcp
syslog-conn 601/tcp
asf-rmcp 623/udp
ipp 631/tcp
ldaps 636/tcp,udp
ldp 646/tcp,udp
dhcp-failover 647/tcp
tinc 655/tcp,udp
kerberos-adm 749/tcp
spamd 783/tcp
domain-s 853/tcp,udp
rsync 873/tcp
ftps-data 989/tcp
ftps 990/tcp
telnets 992/tcp
imaps 993/tcp
pop3s 995/tcp
socks 1080/tcp
rmiregistry 1099/tcp
openvpn 1194/tcp,udp
ms-sql-s 1433/tcp
ms-sql-m 1434/udp
l2f 1701/udp l2tp
h323gatestat 1719/udp
h323hostcall 1720/tcp
pptp 1723/tcp
radius 1812/tcp,udp
radius-acct 1813/tcp,udp radacct
mqtt 1883/tcp,udp
ssdp 1900/udp
hsrp 1985/udp
cisco-sccp 2000/tcp
nfs 2049/tcp,udp
gtp-control 2123/udp
gtp-user 2152/udp
docker 2375/tcp
docker-s 2376/tcp
etcd-client 2379/tcp
etcd-server 2380/tcp
cvspserver 2401/tcp
mgcp-gateway 2427/udp
zebrasrv 2600/tcp
zebra 2601/tcp
ripd 2602/tcp
ripngd 2603/tcp
ospfd 2604/tcp
bgpd 2605/tcp
ospf6d 2606/tcp
dict 2628/tcp
mgcp-callagent 2727/udp
m3ua 2905/tcp
megaco-h248 2944/udp
gpsd 2947/tcp
icpv2 3130/udp icp
isns 3205/tcp,udp
glbp 3222/udp
iscsi-target 3260/tcp
msft-gc 3268/tcp global-catalog
msft-gc-ssl 3269/tcp global-catalog-ssl
mysql 3306/tcp
ms-wbt-server 3389/tcp
stun 3478/tcp,udp turn
nut 3493/tcp,udp
teredo 3544/udp
distcc 3632/tcp
daap 3689/tcp
svn 3690/tcp subversion
ws-discovery 3702/tcp,udp
bfd-control 3784/tcp,udp
bfd-echo 3785/tcp,udp
diameter 3868/tcp
sieve 4190/tcp
epmd 4369/tcp
remctl 4373/tcp
ntske 4460/tcp
ipsec-nat-t 4500/udp
iax 4569/udp
ipfix 4739/tcp,udp
vxlan 4789/udp
opcua-tcp 4840/tcp
munin 4949/tcp lrrd
avt-profile-1 5004/udp rtp-data
avt-profile-2 5005/udp rtp-control
sip 5060/tcp,udp
sip-tls 5061/tcp,udp
xmpp-client 5222/tcp jabber-client
xmpp-server 5269/tcp jabber-server
cfengine 5308/tcp
stuns 5349/tcp,udp turns
mdns 5353/udp
llmnr 5355/tcp,udp
postgresql 5432/tcp postgres
nrpe 5666/tcp
nsca 5667/tcp
amqps 5671/tcp
amqp 5672/tcp
coap 5683/tcp,udp
coaps 5684/tcp,udp
rfb 5900/tcp
wsman 5985/tcp
wsmans 5986/tcp
x11 6000/tcp x11-0
geneve 6081/udp
sflow 6343/udp
gnutella-svc 6346/tcp,udp
gnutella-rtr 6347/tcp,udp
redis 6379/tcp
syslog-tls 6514/tcp
sane-port 6566/tcp sane saned
ircd 6667/tcp
babel 6696/udp
ircs-u 6697/tcp
bbs 7000/tcp
afs3-fileserver 7000/udp
afs3-callback 7001/udp
afs3-prserver 7002/udp
afs3-vlserver 7003/udp
afs3-kaserver 7004/udp
afs3-volser 7005/udp
http-alt 8080/tcp webcache
tproxy 8081/tcp
puppet 8140/tcp
secure-mqtt 8883/tcp,udp
prometheus 9090/tcp
bacula-dir 9101/tcp
bacula-fd 9102/tcp
bacula-sd 9103/tcp
git 9418/tcp
webmin 10000/tcp
zabbix-agent 10050/tcp
zabbix-trapper 10051/tcp
amanda 10080/tcp
nbd 10809/tcp
memcache 11211/tcp,udp
hkp 11371/tcp
dnp 20000/tcp,udp dnp3
mongodb 27017/tcp
ethernet-ip-2 44818/tcp,udp enip
bacnet 47808/udp
`
