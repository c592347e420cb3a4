local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

c.protocols = { pb = { port = 9989 } }
c.workers = {
  -- As in Buildbot's manual: three by position, the others by name.
  worker.EC2LatentWorker("bot1", "sekrit", "m1.large", {
    ami = "ami-12345",
    keypair_name = "latent_buildbot_worker",
    security_name = "latent_buildbot_worker",
  }),
  -- All by position.
  worker.EC2LatentWorker(
    "positions", None, "m5.large", None, 11111111111, "ubuntu/(\\d+)", "203.0.113.7", "AKIA", "key", None, "#!/bin/sh",
    "us-west-2", "ci", None, true, 0.5, { { "vol-1", "/dev/sdf" } }, "b", 1.5, { project = "ci" }, "Linux/UNIX",
    "subnet-1", { "sg-1" }, "builder", { { DeviceName = "/dev/sda1", Ebs = { VolumeSize = 40 } } }, None, {}
  ),
  worker.EC2LatentWorker {
    "search",
    instance_type = "c7g.xlarge",
    valid_ami_owners = { 99720109477, "099720109477", "self", "amazon", "aws-marketplace" },
    valid_ami_location_regex = "^[^/]*/buildbot-worker-(\\d+)\\.image\\.manifest\\.xml$",
    elastic_ip = "208.77.188.166",
    identifier = util.Secret "aws/id",
    secret_identifier = util.Secret "aws/key",
    user_data = util.Secret "aws/user-data",
    region = "us-gov-west-1",
    placement = "a",
    keypair_name = "ci",
    subnet_id = "subnet-12345",
    security_group_ids = { "sg-1", "sg-2" },
    instance_profile_name = "builder",
    volumes = { { "vol-1", "/dev/sdf" }, { "vol-2", "/dev/sdg" } },
    tags = { SomeTag = "foo" },
    block_device_map = {
      {
        DeviceName = "/dev/xvda",
        Ebs = {
          DeleteOnTermination = false,
          SnapshotId = "snap-1",
          VolumeSize = 100,
          VolumeType = "gp3",
          Iops = 3000,
          Throughput = 250,
          Encrypted = true,
          KmsKeyId = "alias/ci",
        },
      },
      { DeviceName = "/dev/xvdb", VirtualName = "ephemeral0" },
      { DeviceName = "/dev/xvdc", NoDevice = true },
    },
  },
  worker.EC2LatentWorker {
    "spot",
    instance_type = "m5.large",
    valid_ami_owners = 99720109477,
    keypair_name = "ci",
    security_name = "ci",
    spot_instance = true,
    max_spot_price = 0.09,
    price_multiplier = None,
    product_description = "Linux/UNIX (Amazon VPC)",
    region = "eu-central-1",
    aws_id_file_path = "/etc/ci/aws_id",
  },
  worker.EC2LatentWorker {
    "mean",
    instance_type = "m5.large",
    ami = "ami-1",
    keypair_name = "ci",
    security_name = "ci",
    spot_instance = true,
    max_spot_price = None,
    price_multiplier = 1.5,
    session = { profile_name = "ci", region_name = "eu-west-1" },
    placement = "c",
  },
  worker.EC2LatentWorker {
    "temporary",
    instance_type = "m5.large",
    ami = "ami-1",
    keypair_name = "ci",
    security_name = "ci",
    volumes = None,
    tags = None,
    security_group_ids = None,
    block_device_map = None,
    session = {
      aws_access_key_id = "ASIA",
      aws_secret_access_key = util.Secret "aws/key",
      aws_session_token = util.Secret "aws/token",
    },
  },
}
