# A web server on a published family: a network of Packer's own, user-data, files by scp, packages from the mirrors.
packer {
  required_plugins {
    yandex = {
      source  = "github.com/hashicorp/yandex"
      version = "~> 1.1"
    }
  }
}

variable "endpoint" {
  type = string
}

source "yandex" "web" {
  endpoint            = var.endpoint
  source_image_family = "ubuntu-2204-lts"
  ssh_username        = "ubuntu"
  ssh_timeout         = "15m"
  state_timeout       = "30m" # the family's image may have to be made first
  use_ipv4_nat        = true
  instance_cores      = 2
  instance_mem_gb     = 2
  disk_size_gb        = 10
  disk_type           = "network-ssd"
  metadata            = { user-data = file("${path.root}/user-data.yaml") }
  serial_log_file     = "serial.log"
  image_name          = "web-1"
  image_family        = "web"
  image_description   = "nginx, made by Packer"
  image_labels        = { purpose = "contract" }
}

build {
  sources = ["source.yandex.web"]

  provisioner "shell" {
    inline = ["cloud-init status --wait", "test -e /etc/by-user-data"]
  }
  provisioner "file" {
    source      = "${path.root}/look.sh"
    destination = "/tmp/look.sh"
  }
  provisioner "shell" {
    script          = "${path.root}/install.sh"
    execute_command = "sudo env {{ .Vars }} bash '{{ .Path }}'"
  }
  post-processor "manifest" {
    output = "manifest.json"
  }
}
