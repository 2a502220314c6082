#!/bin/sh
# Says on a machine's console what it was made from.
{
  echo "look: guarded $(stat -c '%a %U:%G %h' /srv/secret) $(cat /srv/again)"
  echo "look: note $(python3 -c 'import os; print(os.getxattr("/srv/secret", "user.note").decode())')"
  echo "look: link $(readlink /srv/link)"
  echo "look: motd.d $(ls /etc/update-motd.d) motd $(cat /etc/motd 2>&1 | grep -o 'No such file')"
  echo "look: nginx $(systemctl is-active nginx)"
  echo "look: copy $(mount -o ro /dev/disk/by-id/virtio-copy /mnt && ls /mnt/srv/secret)"
  echo "look: blank $(blkid -p /dev/disk/by-id/virtio-blank || echo has nothing)"
  echo "look: done"
} >/dev/console 2>&1
